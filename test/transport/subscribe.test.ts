import { buildSchema, type ExecutionResult, parse } from 'graphql';
import { expect, it } from 'vitest';
import { subscribe } from '../../src/transport/subscribe.ts';

const schema = buildSchema(`
  type Query { nothing: Int }
  type Subscription { news(after: Int): News }
  type News { text(length: Int): String }
`);

/** What two subscribers hear of one event, and how often its text was asked for. */
async function hear(
  texts: readonly [string, string],
  variables: readonly [Record<string, unknown>, Record<string, unknown>],
) {
  let asked = 0;
  const event = {
    news: {
      text: ({ length }: { length?: number }) => {
        asked += 1;
        return 'extra, extra'.slice(0, length);
      },
    },
  };
  const documents = new Map(texts.map((text) => [text, parse(text)]));
  const responses = texts.map(async (text, i) => {
    const stream = await subscribe({
      schema,
      document: documents.get(text) ?? parse(text),
      variableValues: variables[i] ?? {},
      rootValue: {
        async *news() {
          yield await Promise.resolve(event);
        },
      },
    });
    if (!('next' in stream)) return stream;
    const { value } = (await stream.next()) as IteratorYieldResult<ExecutionResult>;
    expect(await stream.next()).toMatchObject({ done: true });
    return value;
  });
  const heard = (await Promise.all(responses)).map(({ data }) => JSON.stringify(data));
  return { heard, asked };
}

const FULL = '{"news":{"text":"extra, extra"}}';

it('asks once for all who ask the same, wherever each of them began', async () => {
  const text = 'subscription ($after: Int) { news(after: $after) { text } }';
  const { heard, asked } = await hear([text, text], [{ after: 1 }, { after: 2 }]);
  expect(heard).toEqual([FULL, FULL]);
  expect(asked).toBe(1);
});

it('asks anew for another document', async () => {
  const { heard, asked } = await hear(
    ['subscription { news { text } }', 'subscription { news { text(length: 5) } }'],
    [{}, {}],
  );
  expect(heard).toEqual([FULL, '{"news":{"text":"extra"}}']);
  expect(asked).toBe(2);
});

it.each([
  'subscription ($length: Int) { news { text(length: $length) } }',
  'subscription ($length: Int) { ...all } fragment all on Subscription { news { ...part } } fragment part on News { text(length: $length) }',
])('asks anew where the answer depends on a variable: %s', async (text) => {
  const { heard, asked } = await hear([text, text], [{ length: 5 }, { length: 2 }]);
  expect(heard).toEqual(['{"news":{"text":"extra"}}', '{"news":{"text":"ex"}}']);
  expect(asked).toBe(2);
});
