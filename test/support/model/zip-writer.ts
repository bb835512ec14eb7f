import { crc32, deflateRawSync } from 'node:zlib';

/** A zip archive with these entries, deflated. Layout: PKWARE's APPNOTE, without extensions. */
export function encodeZip(entries: Readonly<Record<string, Uint8Array>>): Buffer {
  let offset = 0;
  const parts = Object.entries(entries).map(([name, content]) => {
    const data = deflateRawSync(content);
    const fields = entryFields(name, content, data);
    const local = Buffer.concat([signature(0x04034b50), fields, Buffer.from(name), data]);
    // made by version 2.0; then no comment, disk 0, no attributes, and where the local entry is
    const central = Buffer.concat([
      signature(0x02014b50),
      u16(20),
      fields,
      Buffer.alloc(10),
      u32(offset),
      Buffer.from(name),
    ]);
    offset += local.length;
    return { local, central };
  });
  const directory = Buffer.concat(parts.map(({ central }) => central));
  const end = [
    u16(0),
    u16(0),
    u16(parts.length),
    u16(parts.length),
    u32(directory.length),
    u32(offset),
    u16(0),
  ];
  return Buffer.concat([
    ...parts.map(({ local }) => local),
    directory,
    signature(0x06054b50),
    ...end,
  ]);
}

/** What the local and the central entry have in common: version, flags, method, time, date, hash, sizes, name's length. */
function entryFields(name: string, content: Uint8Array, data: Uint8Array): Buffer {
  const DEFLATED = 8;
  return Buffer.concat([
    ...[20, 0, DEFLATED, 0, 0x21].map(u16),
    ...[crc32(content), data.length, content.length].map(u32),
    ...[Buffer.byteLength(name), 0].map(u16),
  ]);
}

const signature = u32;

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
