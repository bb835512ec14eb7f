import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readLineage } from '../../src/adapters/lineage.ts';
import { runCli } from '../../src/cli.ts';
import { modeOutput } from '../../src/modes/output.ts';
import { compileSchema } from '../../src/modes/schema-check.ts';
import { parseGlobalData } from '../../src/training/global-data.ts';
import { loadShippedModes } from '../support/test-user.ts';

const WORDS = ['tea', 'rain', 'boat', 'lamp', 'road', 'fish', 'corn', 'moon', 'salt', 'wood'];
const mode = (await loadShippedModes()).mode('subject');
const line = (i: number) => ({
  input: { body: `We talk of ${WORDS[i % 10]} ${i}.` },
  target: `about ${WORDS[i % 10]}`,
});
const fileOf = (lines: readonly unknown[]) => lines.map((one) => JSON.stringify(one)).join('\n');
const LINES = Array.from({ length: 60 }, (_, i) => line(i));

describe('the data of an adapter for everyone', () => {
  it('becomes examples and pairs, whatever the order of the lines, each once', () => {
    const pair = { input: line(1).input, chosen: 'Tea', rejected: 'about tea' };
    const data = parseGlobalData(fileOf([...LINES, pair]), mode, 'data');
    expect(data.examples).toHaveLength(60);
    expect(data.preferences).toMatchObject([{ chosen: 'Tea', rejected: 'about tea' }]);
    expect(data.examples[0]?.messages.at(-1)?.content).toContain('We talk of');
    const splits = data.examples.map(({ split }) => split);
    expect(new Set(splits)).toEqual(new Set(['train', 'validation', 'holdout']));
    // what is said of one input is on one side
    const about = data.examples.find(({ messages }) =>
      messages.at(-1)?.content.includes('rain 1.'),
    );
    expect(about?.split).toBe(data.preferences[0]?.split);
    const again = parseGlobalData(fileOf([pair, ...LINES.toReversed(), pair]), mode, 'data');
    expect(again).toEqual(data);
  });

  it('drops what teaches nothing, and counts it', () => {
    const poison = ['', 'y'.repeat(100_000), '\u0000\u0001\u0002'].map((target) => ({
      ...line(1),
      target,
    }));
    const binary = { ...line(2), input: { body: '\u0001\u0002\u0003' } };
    const data = parseGlobalData(fileOf([...LINES, ...poison, binary]), mode, 'data');
    expect(data).toMatchObject({ dropped: 4 });
    expect(data.examples).toHaveLength(60);
  });

  it('is what the mode could answer, in the form in which it answers', () => {
    const properties = { about: { type: 'string' }, urgent: { type: 'boolean' } };
    const schema = { type: 'object', properties, additionalProperties: false };
    const output = modeOutput(schema, compileSchema(schema, 'output'));
    const { input } = line(1);
    const lines = [
      { input, target: '{ "urgent": true, "about": "tea" }' },
      { input, target: 'about tea' },
      { input, chosen: '{"about" : "tea"}', rejected: 'about tea' },
      { input, chosen: 'about tea', rejected: '{"about":"rain"}' },
    ];
    const data = parseGlobalData(fileOf(lines), { ...mode, output }, 'data');
    expect(data.examples).toMatchObject([{ target: '{"about":"tea","urgent":true}' }]);
    expect(data.preferences).toMatchObject([{ chosen: '{"about":"tea"}', rejected: 'about tea' }]);
    expect(data.dropped).toBe(2);
  });

  it.each([
    ['{"input": ', 'data:2: is not JSON'],
    ['[1]', 'data:2: "0" is unknown'],
    ['null', 'data:2: a line has input, and target or chosen and rejected'],
    [fileOf([{ target: 'x' }]), 'data:2: a line has input'],
    [fileOf([{ ...line(1), chosen: 'x' }]), 'data:2: a line has input'],
    [fileOf([{ input: line(1).input, chosen: 'x' }]), 'data:2: a line has input'],
    [fileOf([{ ...line(1), split: 'train' }]), 'data:2: "split" is unknown'],
    [fileOf([{ input: { text: 'x' }, target: 'y' }]), 'data:2: input'],
  ])('is refused with file and line: %s', (second, reason) => {
    expect(() => parseGlobalData(`${fileOf([line(0)])}\n${second}`, mode, 'data')).toThrow(reason);
  });
});

describe('attune train-global', () => {
  let root: string;
  let printed = '';
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'attune-global-'));
    await writeFile(join(root, 'data.jsonl'), fileOf(LINES));
    await writeFile(join(root, 'few.jsonl'), fileOf(LINES.slice(0, 6)));
  });
  afterAll(() => rm(root, { recursive: true }));

  const command = (data: string, out: string) => {
    const print = (text: string) => {
      printed += text;
    };
    const args = ['--mode', 'subject', '--data', join(root, data), '--out', join(root, out)];
    const model = ['--model', 'tiny', '--cache', join(root, 'cache')];
    const run = () => Promise.reject(new Error('no process is started'));
    return runCli(['train-global', ...args, ...model], { run, print });
  };

  it('makes a folder for the mode to ship, the same from the same data', async () => {
    await command('data.jsonl', 'one');
    await command('data.jsonl', 'two');
    expect(printed).toContain('60 examples, 0 pairs, 0 lines dropped');
    expect(printed).toMatch(/held-out loss [\d.]+ is below the base model's/);
    const bytes = (name: string) => readFile(join(root, name, 'adapter_model.safetensors'));
    expect((await bytes('one')).equals(await bytes('two'))).toBe(true);
    expect(await readLineage(join(root, 'one'))).toMatchObject({ parentSha256: null });
  });

  it('leaves no folder when there is too little to judge by, and none of others', async () => {
    await expect(command('few.jsonl', 'few')).rejects.toThrow('TOO_LITTLE_DATA');
    expect(existsSync(join(root, 'few'))).toBe(false);
    await mkdir(join(root, 'taken'));
    await expect(command('data.jsonl', 'taken')).rejects.toThrow('is there already');
    await expect(command('none.jsonl', 'none')).rejects.toThrow('There is no file');
    await expect(command('taken', 'none')).rejects.toThrow(/^Cannot read .*taken: EISDIR/);
    await writeFile(join(root, 'broken.jsonl'), `${fileOf(LINES)}\n{"input": `);
    await expect(command('broken.jsonl', 'none')).rejects.toThrow('broken.jsonl:61: is not JSON');
    await writeFile(join(root, 'empty.jsonl'), '\n');
    await expect(command('empty.jsonl', 'none')).rejects.toThrow('there is no example to learn');
    expect(existsSync(join(root, 'none'))).toBe(false);
  });
});
