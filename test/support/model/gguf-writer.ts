// Writes GGUF files, version 3, little-endian: the layout is that of ggml's docs/gguf.md.

/** A typed value of the metadata. */
export type GgufValue =
  | { readonly type: 'u32' | 'i32' | 'f32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'i32s'; readonly value: readonly number[] };

/** A tensor to write; `offset` and `shape` may be wrong on purpose. */
export interface GgufTensorInput {
  readonly name: string;
  /** ggml's id of the type */
  readonly type: number;
  /** Outermost first, as everywhere but in the file. */
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
  /** From the start of the data; default: right after the tensor before it. */
  readonly offset?: number;
}

/** The parts of a file, to be joined or damaged. */
export interface GgufParts {
  readonly header: Buffer;
  readonly data: Buffer;
}

const ALIGNMENT = 32;
const STRING = 8;
const ARRAY = 9;
const INT32 = 5;

/** The whole file. */
export function encodeGguf(
  metadata: readonly (readonly [key: string, value: GgufValue])[],
  tensors: readonly GgufTensorInput[],
): Buffer {
  const { header, data } = encodeGgufParts(metadata, tensors);
  return Buffer.concat([header, data]);
}

/** The header, padded to the start of the data, and the data. */
export function encodeGgufParts(
  metadata: readonly (readonly [key: string, value: GgufValue])[],
  tensors: readonly GgufTensorInput[],
): GgufParts {
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(3),
    u64(tensors.length),
    u64(metadata.length),
    ...metadata.map(([key, value]) => Buffer.concat([string(key), encodeValue(value)])),
  ]);
  return encodeGgufBehind(head, tensors);
}

/** The same behind a head that is there already: everything up to the list of as many tensors. */
export function encodeGgufBehind(head: Buffer, tensors: readonly GgufTensorInput[]): GgufParts {
  const places = placeAll(tensors);
  const infos = tensors.map((tensor, i) =>
    Buffer.concat([
      string(tensor.name),
      u32(tensor.shape.length),
      ...[...tensor.shape].reverse().map(u64),
      u32(tensor.type),
      u64(tensor.offset ?? places[i]?.offset ?? 0),
    ]),
  );
  const header = padded(Buffer.concat([head, ...infos]));
  return { header, data: Buffer.concat(places.map(({ bytes }) => bytes)) };
}

function placeAll(tensors: readonly GgufTensorInput[]): { offset: number; bytes: Buffer }[] {
  let offset = 0;
  return tensors.map((tensor) => {
    const place = { offset, bytes: padded(Buffer.from(tensor.bytes)) };
    offset += place.bytes.length;
    return place;
  });
}

function encodeValue(value: GgufValue): Buffer {
  switch (value.type) {
    case 'u32':
      return Buffer.concat([u32(4), u32(value.value)]);
    case 'i32':
      return Buffer.concat([u32(INT32), u32(value.value >>> 0)]);
    case 'f32':
      return Buffer.concat([u32(6), Buffer.from(Float32Array.of(value.value).buffer)]);
    case 'bool':
      return Buffer.concat([u32(7), Buffer.from([value.value ? 1 : 0])]);
    case 'string':
      return Buffer.concat([u32(STRING), string(value.value)]);
    case 'strings':
      return Buffer.concat([
        u32(ARRAY),
        u32(STRING),
        u64(value.value.length),
        ...value.value.map(string),
      ]);
    case 'i32s':
      return Buffer.concat([
        u32(ARRAY),
        u32(INT32),
        u64(value.value.length),
        Buffer.from(Int32Array.from(value.value).buffer),
      ]);
  }
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((ALIGNMENT - (bytes.length % ALIGNMENT)) % ALIGNMENT)]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u64(bytes.length), bytes]);
}
