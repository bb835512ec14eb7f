// What the API costs: streams over GraphQL and WebSocket through the whole server, against the same requests put to a
// bare engine process.

import { join } from 'node:path';
import { readMailbox } from '../../demo/mailbox.ts';
import { type Account, Phone } from '../../demo/phone.ts';
import { startServerProcess } from '../../demo/server.ts';
import { issueToken } from '../../src/auth/tokens.ts';
import { readConfig } from '../../src/config.ts';
import { type Engine, startEngine } from '../../src/inference/engine-client.ts';
import type { AdapterFolder } from '../../src/inference/engine-protocol.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { type Base, loadTokenizer } from '../../src/model/base/base-package.ts';
import { loadCatalog } from '../../src/modes/catalog.ts';
import { renderPrompt } from '../../src/modes/prompt.ts';
import { seedUsers } from '../seed-users.ts';
import { type Figure, median } from './figure.ts';

const MODE = 'reply';
const STREAMS = 8;
const ANSWERS_PER_STREAM = 2;
const ANSWER_TOKENS = 96;
const TURNS = 3;

/** One stream's questions, answered one after the other; how many tokens that was. */
type Stream = () => Promise<number>;

interface Place {
  readonly base: Base;
  readonly folder: string;
  readonly threads: number;
}

/** completionTokens at 8 streams, each of a user with an adapter of its own. */
export async function compareGraphql({ base, folder, threads }: Place): Promise<Figure[]> {
  const dataDir = join(folder, 'server');
  const users = Array.from({ length: STREAMS }, (_, index) => `stream-${index}`);
  const adapters = await seedUsers(dataDir, base, { mode: MODE, users });
  const flags = ['--modes', MODE, '--threads', String(threads), '--log-level', 'error'];
  const server = await startServerProcess({ dataDir, flags });
  const engine = await startEngine({ baseDir: base.dir, threads });
  const phones = await openPhones(dataDir, server.account, users);
  try {
    const sides = {
      graphql: phones.map((phone) => graphqlStream(phone)),
      engine: await engineStreams(engine, base, adapters),
    };
    return [await compare(sides)];
  } finally {
    await Promise.all(phones.map((phone) => phone.close()));
    await server.close();
    await engine.close();
  }
}

async function compare(sides: {
  readonly graphql: readonly Stream[];
  readonly engine: readonly Stream[];
}): Promise<Figure> {
  const rates = { graphql: [] as number[], engine: [] as number[] };
  const counts = new Set<number>();
  // the first turn loads adapters and touches buffers
  for (let turn = 0; turn <= TURNS; turn += 1)
    for (const side of ['graphql', 'engine'] as const) {
      const { tokens, seconds } = await runAll(sides[side]);
      counts.add(tokens);
      if (turn > 0) rates[side].push(tokens / seconds);
    }
  if (counts.size !== 1)
    throw new Error(`the two sides did different work: ${[...counts].join(', ')} tokens`);
  const [graphql, engine] = [median(rates.graphql), median(rates.engine)];
  const from = `${graphql.toFixed(1)} over ${engine.toFixed(1)} tok/s, prompts included`;
  return { key: 'graphql_vs_engine', value: graphql / engine, reach: '0.95', from };
}

async function runAll(streams: readonly Stream[]): Promise<{ tokens: number; seconds: number }> {
  const startedAt = performance.now();
  const tokens = await Promise.all(streams.map((stream) => stream()));
  const seconds = (performance.now() - startedAt) / 1000;
  return { tokens: tokens.reduce((sum, count) => sum + count, 0), seconds };
}

function openPhones(dataDir: string, { url }: Account, users: readonly string[]): Promise<Phone[]> {
  return Promise.all(
    users.map(async (user) => {
      const token = await issueToken(dataDir, user, systemClock);
      return new Phone({ url, token }, user);
    }),
  );
}

function graphqlStream(phone: Phone): Stream {
  return async () => {
    let count = 0;
    for (const input of inputs()) {
      const ask = { mode: MODE, input, maxTokens: ANSWER_TOKENS, temperature: 0 };
      count += (await phone.streamCompletion(ask)).tokens;
    }
    return count;
  };
}

async function engineStreams(
  engine: Engine,
  base: Base,
  adapters: readonly AdapterFolder[],
): Promise<readonly Stream[]> {
  const catalog = await loadCatalog(readConfig({}).modesDir, { only: [MODE] });
  const tokenizer = await loadTokenizer(base);
  const prompts = inputs().map((input) =>
    tokenizer.encodeChat(renderPrompt(catalog.mode(MODE), input, {}), {
      addGenerationPrompt: true,
    }),
  );
  const greedy = { maxTokens: ANSWER_TOKENS, temperature: 0, topP: 1, seed: null, stop: [] };
  return adapters.map((adapter, index) => async () => {
    let count = 0;
    for (const promptIds of prompts) {
      const request = { promptIds, adapter, ...greedy, userId: `stream-${index}` };
      for await (const event of engine.generate(request, new AbortController().signal))
        if (event.kind === 'done') count += event.completionTokens;
    }
    return count;
  });
}

function inputs() {
  const mails = readMailbox();
  return Array.from({ length: ANSWERS_PER_STREAM }, (_, index) => ({
    from: 'somebody@example.org',
    subject: 'A question',
    body: String(must(mails[index], 'a mail').data.body),
  }));
}
