/** A bucket, and how to reach it. */
export interface S3Place {
  readonly bucket: string;
  /** What all names begin with: empty, or ending in a slash. */
  readonly prefix: string;
  /** The server's URL; undefined: that of AWS for the region. */
  readonly endpoint: string | undefined;
  /** Undefined: the one of the environment or the shared configuration files of AWS. */
  readonly region: string | undefined;
}

/** Reads `s3://bucket/prefix?endpoint=https://host:port&region=name`, all but the bucket optional. Null when it is none. */
export function parseS3Url(text: string): S3Place | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  const { protocol, hostname, pathname, searchParams, username, password } = url;
  if (protocol !== 's3:' || hostname === '' || username !== '' || password !== '') return null;
  if ([...searchParams.keys()].some((key) => key !== 'endpoint' && key !== 'region')) return null;
  const endpoint = searchParams.get('endpoint') ?? undefined;
  if (endpoint !== undefined && !isHttp(endpoint)) return null;
  const folder = pathname.replace(/^\/+|\/+$/g, '');
  return {
    bucket: hostname,
    prefix: folder === '' ? '' : `${folder}/`,
    endpoint,
    // servers other than AWS know one region, whose name is then a formality
    region: searchParams.get('region') ?? (endpoint === undefined ? undefined : 'us-east-1'),
  };
}

function isHttp(text: string): boolean {
  return URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol);
}
