import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AdapterFolder, EngineRequest } from '../../src/inference/engine-protocol.ts';
import { must } from '../../src/lib/errors.ts';
import { loadTokenizer } from '../../src/model/base/base-package.ts';
import {
  type EngineFixture,
  engineFixture,
  engineRequest,
  promptOf,
} from '../support/inference/engine-fixture.ts';
import { driveLoop, type LoopDriver, type Outcome } from '../support/inference/loop-driver.ts';
import { realBase } from '../support/model/real-base.ts';

/** Asks one after the other, so that every row decodes alone. */
async function answersOf(driver: LoopDriver, requests: readonly EngineRequest[]) {
  const answers: Outcome[] = [];
  for (const request of requests) answers.push(await driver.ask(request));
  return answers;
}

/** Tokens of which more than one came of a run. */
function tokensInCompany({ events }: LoopDriver): number {
  const seen = new Set<string>();
  const tokens = events.flatMap((event) =>
    event.kind === 'text' ? [`${event.id} ${event.tokens}`] : [],
  );
  return tokens.filter((token) => seen.size === seen.add(token).size).length;
}

describe('on a small base', () => {
  let fixture: EngineFixture;
  let plain: LoopDriver;
  let guessing: LoopDriver;
  beforeAll(async () => {
    fixture = await engineFixture();
    plain = await driveLoop(fixture);
    guessing = await driveLoop(fixture, { speculation: true });
  });
  afterAll(async () => {
    await plain.close();
    await guessing.close();
    await fixture.remove();
  });

  /** Prompts that repeat themselves, of lengths around the buckets' borders. */
  function repetitive(fields: Partial<EngineRequest> = {}): EngineRequest[] {
    return Array.from({ length: 24 }, (_, i) => {
      const phrase = promptOf(5, i);
      const promptIds = Array.from({ length: 12 + i }, () => phrase).flat();
      const adapter = i % 3 === 0 ? null : (fixture.adapters[i % 5] as AdapterFolder);
      return engineRequest({ promptIds, adapter, maxTokens: 40, ...fields });
    });
  }

  test('answers are those without guesses, and come several tokens at a time', async () => {
    const expected = await answersOf(plain, repetitive());
    expect(await answersOf(guessing, repetitive())).toEqual(expected);
    expect(tokensInCompany(guessing)).toBeGreaterThan(24);
    expect(tokensInCompany(plain)).toBe(0);
  });

  test('an answer ends at its limit, at its stop string and where the context ends', async () => {
    for (const maxTokens of [1, 2, 3, 4, 5]) {
      const requests = repetitive({ maxTokens }).slice(0, 6);
      expect(await answersOf(guessing, requests)).toEqual(await answersOf(plain, requests));
    }
    const [first] = await answersOf(plain, repetitive().slice(3, 4));
    const stopped = repetitive({ stop: [first?.text.slice(4, 6) ?? ''] }).slice(3, 4);
    expect(await answersOf(guessing, stopped)).toEqual(await answersOf(plain, stopped));
    const phrase = promptOf(5, 3);
    const long = [
      engineRequest({ promptIds: Array.from({ length: 101 }, () => phrase).flat(), maxTokens: 50 }),
    ];
    expect(await answersOf(guessing, long)).toEqual(await answersOf(plain, long));
  });

  test('sampled answers are the same too: they are not guessed', async () => {
    const hot = repetitive({ temperature: 1, topP: 0.9, seed: 7 }).slice(0, 6);
    expect(await answersOf(guessing, hot)).toEqual(await answersOf(plain, hot));
  });

  test('rows that come and go beside each other get the same answers', async () => {
    const requests = repetitive().map((request, i) => ({ ...request, userId: `user ${i}` }));
    const expected = await answersOf(plain, requests);
    expect(await Promise.all(requests.map((request) => guessing.ask(request)))).toEqual(expected);
  });
});

/** The bodies of the sample mailbox's first mails. */
function mailBodies(count: number): string[] {
  const lines = readFileSync('examples/mailbox.jsonl', 'utf8').split('\n').slice(0, count);
  return lines.map((line) => JSON.parse(line).data.body);
}

describe.runIf(realBase !== null)('on the default base', () => {
  test('rewritten mails are those without guesses', async () => {
    const base = must(realBase, 'the default base');
    const tokenizer = await loadTokenizer(base);
    const requests = mailBodies(4).map((body) => {
      const content = `Rewrite this mail so that it is friendlier.\n\n${body}`;
      const promptIds = tokenizer.encodeChat([{ role: 'user', content }], {
        addGenerationPrompt: true,
      });
      return engineRequest({ promptIds, maxTokens: 64 });
    });
    const fixture = { base, adapters: [], remove: async () => undefined };
    const answers: Outcome[][] = [];
    for (const speculation of [false, true]) {
      const driver = await driveLoop(fixture, { kvBytes: 2 ** 30, speculation });
      answers.push(await answersOf(driver, requests));
      if (speculation) expect(tokensInCompany(driver)).toBeGreaterThan(10 * requests.length);
      await driver.close();
    }
    expect(answers[1]).toEqual(answers[0]);
  }, 300_000);
});
