import { expect, it } from 'vitest';
import { prepareChanges } from '../../src/changes/change.ts';
import { catalog, upsert } from './fixture.ts';

const prepare =
  (...changes: ReturnType<typeof upsert>[]) =>
  () =>
    prepareChanges(catalog, changes);
const numbered = (count: number, first = 1) =>
  Array.from({ length: count }, (_, n) => upsert(first + n));

it('takes 1,000 changes and refuses one more (PUSH-10)', () => {
  expect(prepare(...numbered(1000))()).toHaveLength(1000);
  expect(prepare(...numbered(1001))).toThrow(
    expect.objectContaining({ code: 'TOO_LARGE', message: expect.stringContaining('1001') }),
  );
});

it('takes 4 MB and refuses more, however many changes they are spread over (PUSH-10)', () => {
  const megabyte = { data: { body: 'x'.repeat(1_000_000) } };
  expect(prepare(...[1, 2, 3, 4].map((n) => upsert(n, megabyte)))()).toHaveLength(4);
  expect(prepare(...[1, 2, 3, 4, 5].map((n) => upsert(n, megabyte)))).toThrow(
    expect.objectContaining({
      code: 'TOO_LARGE',
      message: expect.stringContaining('mutationId 5'),
    }),
  );
  expect(prepare(upsert(1, { data: { body: 'ä'.repeat(2_500_000) } }))).toThrow(
    expect.objectContaining({ code: 'TOO_LARGE' }),
  );
});

it.each([
  ['a hole', [1, 3]],
  ['a repetition', [1, 1]],
  ['a step back', [2, 1]],
])('refuses %s in the numbering', (_, ids) => {
  expect(prepare(...ids.map((id) => upsert(id)))).toThrow(
    expect.objectContaining({ code: 'BAD_INPUT' }),
  );
});

it.each([0, -1])('refuses to start at %i', (id) => {
  expect(prepare(upsert(id))).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
});
