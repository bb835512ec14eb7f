/** An adapter that the engine will not run: damaged, of another base, or without effect. It fails the requests that ask
 *  for it and nothing else. The message names files, so it is for the operator: the asking user cannot mend it. */
export class AdapterError extends Error {
  override readonly name = 'AdapterError';
  /** The adapter's name. */
  readonly sha256: string;
  readonly reason: string;

  constructor(reason: string, { sha256, cause }: { sha256: string; cause?: unknown }) {
    super(`adapter ${sha256} cannot be used: ${reason}`, { cause });
    this.sha256 = sha256;
    this.reason = reason;
  }
}
