import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { fromGlobalId, toGlobalId } from '../../src/lib/global-id.ts';
import { sha256 } from '../../src/lib/sha256.ts';

const encode = (text: string) => Buffer.from(text).toString('base64url');

it.each([
  ['Adapter', randomUUID()],
  ['Mode', 'subject'],
  ['BaseModel', sha256('base')],
] as const)('takes the id of a %s back', (type, id) => {
  expect(fromGlobalId(toGlobalId(type, id))).toEqual({ type, id });
});

it('gives equal ids of two types different global ids', () => {
  const id = randomUUID();
  expect(toGlobalId('User', id)).not.toBe(toGlobalId('Device', id));
});

it.each([
  ['nothing', ''],
  ['no base64url', '!!!'],
  ['a type without nodes', encode(`Cursor:${randomUUID()}`)],
  ['a property of every object', encode(`toString:${randomUUID()}`)],
  ['no type', encode(randomUUID())],
  ['a row id that SQL would choke on', encode('Adapter:1 or 1=1')],
  [
    'an id of upper case, which would be a second name',
    encode(`User:${randomUUID().toUpperCase()}`),
  ],
  ['another spelling of the same bytes', `${toGlobalId('User', randomUUID())}=`],
  ['a colon too many', encode(`User::${randomUUID()}`)],
])('takes back nothing that it did not make: %s', (_, id) => {
  expect(fromGlobalId(id)).toBeNull();
});
