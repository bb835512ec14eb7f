// Prompts that show records, on a device that keeps them: what the engine is asked is what the server would ask.

import { expect, it } from 'vitest';
import type { DeviceEngine, EngineQuestion } from '../../../src/client/answers/device-engine.ts';
import { LocalAnswers } from '../../../src/client/answers/local-answers.ts';
import { must } from '../../../src/lib/errors.ts';
import { DEVICE_GRAPH_NAME } from '../../../src/model/decode/device-graph-name.ts';
import { renderPrompt } from '../../../src/modes/prompt.ts';
import { compileTemplate, renderMessages } from '../../../src/modes/template.ts';
import { loadShippedModes } from '../../support/test-user.ts';
import { OracleServer } from '../oracle/oracle-server.ts';
import { TestDevice } from '../test-device.ts';

const reply = (await loadShippedModes()).mode('reply');

const FILES = [
  DEVICE_GRAPH_NAME,
  'decode-i8.v1.safetensors',
  ...['config.json', 'tokenizer.json', 'tokenizer_config.json'],
];

const contact = (recordId: string, email: string, name: string) => ({
  ...{ source: 'contacts', recordId, kind: 'UPSERT' as const, data: { name, email } },
  occurredAt: '2026-01-01T00:00:00.000Z',
});

/** A device whose mode `reply` is trained there, with an engine that keeps what it is asked. */
async function setUp(where: 'device' | 'both' | null) {
  const { parts } = new TestDevice(new OracleServer(), 'phone');
  const training =
    where === null ? {} : { training: { where, sources: ['contacts', 'mail.sent'] } };
  const definition = { ...reply.definition, ...training };
  const modes = { reply: { definition, trainingFiles: [] } };
  await parts.storage.write([['modes', modes as never]]);
  for (const name of FILES) await parts.storage.files.append(name, new Uint8Array(1));
  const files = FILES.map((name) => ({ name, url: '', sizeBytes: 1, sha256: name }));
  await parts.base.want({ name: 'base', sha256: 'base', files });
  await parts.base.complete();
  const asked: EngineQuestion[] = [];
  const engine: DeviceEngine = {
    open: () => Promise.resolve(),
    hasAdapter: () => Promise.resolve(true),
    putAdapter: () => Promise.resolve(),
    answer: (question) => {
      asked.push(question);
      return Promise.resolve({ text: 'Yes', finishReason: 'STOP', completionTokens: 1 } as never);
    },
    close: () => Promise.resolve(),
  };
  const answers = new LocalAnswers(parts, { engine, limits: undefined, onReport: () => 0 });
  const { sent, writes } = parts.records.sort(
    [
      contact('b', 'BO@example.org', 'Bo'),
      contact('c', 'bo@example.org', 'The other Bo'),
      contact('d', 'di@example.org', 'Di'),
    ],
    [definition as never],
  );
  await parts.storage.write(writes);
  return { parts, answers, asked, sent };
}

const input = (from: string) => ({ from, subject: 'Boat', body: 'When do we paint?' });

const going = () => {
  const ends = [new AbortController().signal, new AbortController().signal];
  return { device: must(ends[0], 'a signal'), cloud: must(ends[1], 'a signal') };
};

/** The messages that the engine makes of a question. */
const messagesOf = ({ prompt: { templates, variables } }: EngineQuestion) =>
  renderMessages(
    templates.map(({ role, content }) => ({ role, content: compileTemplate(content) })),
    variables,
  );

it.each([
  ['bo@example.org', { name: 'Bo', email: 'BO@example.org' }],
  ['Di@Example.org', { name: 'Di', email: 'di@example.org' }],
  ['nobody@example.org', null],
])('shows the record that the server would show, for %s', async (from, found) => {
  const { answers, asked, sent } = await setUp('device');
  expect(sent).toEqual([]);
  const answer = await answers.complete({ mode: 'reply', input: input(from) }, {}, going());
  expect(answer).toMatchObject({ origin: 'DEVICE', whyCloud: null });
  const expected = renderPrompt(reply, input(from), found === null ? {} : { contact: found });
  expect(messagesOf(must(asked[0], 'a question'))).toEqual(expected);
});

it('leaves it to the cloud where the server has the records of all devices, unless that cannot be reached', async () => {
  const { parts, answers, asked, sent } = await setUp('both');
  expect(sent).toHaveLength(3);
  const request = { mode: 'reply', input: input('bo@example.org') };
  const cloud = { id: 'c', text: 'No', finishReason: 'STOP', dataThrough: 1, adapter: null };
  const { ask } = parts.api;
  parts.api.ask = (() => Promise.resolve({ complete: cloud })) as typeof ask;
  expect(await answers.complete(request, {}, going())).toMatchObject({
    ...{ origin: 'CLOUD', whyCloud: 'FEW_RECORDS' },
  });
  const here = await answers.complete({ ...request, where: 'device' }, {}, going());
  expect(here.origin).toBe('DEVICE');
  parts.api.ask = ask;
  const paused = new AbortController();
  paused.abort(new Error('the client is paused'));
  const silent = { ...going(), cloud: paused.signal };
  expect((await answers.complete(request, {}, silent)).origin).toBe('DEVICE');
  expect(asked).toHaveLength(2);
});

it('asks the cloud where the records are nowhere else', async () => {
  const { answers } = await setUp(null);
  const here = answers.complete(
    { mode: 'reply', input: input('bo@example.org'), where: 'device' },
    {},
    going(),
  );
  await expect(here).rejects.toThrow('NEEDS_RECORDS');
});
