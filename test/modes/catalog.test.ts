import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadCatalog } from '../../src/modes/catalog.ts';
import { ModeFileError } from '../../src/modes/mode-file-error.ts';
import { renderPrompt } from '../../src/modes/prompt.ts';
import { FAULTS } from './mode-file-faults.ts';

const MODES = fileURLToPath(new URL('../../modes', import.meta.url));

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'attune-modes-'));
});
afterAll(() => rm(dir, { recursive: true }));

/** A copy of the shipped modes in which `from` was replaced by `to` in one file. */
async function modesWith(file: string, from: string, to: string): Promise<string> {
  const copy = await mkdtemp(join(dir, 'copy-'));
  await cp(MODES, copy, { recursive: true });
  const path = join(copy, file);
  const text = await readFile(path, 'utf8');
  expect(text).toContain(from);
  await writeFile(
    path,
    text.replace(from, () => to),
  );
  return copy;
}

/** The line (from 1) of `text` in the shipped file. */
async function lineOf(file: string, text: string): Promise<number> {
  const content = await readFile(join(MODES, file), 'utf8');
  return content.slice(0, content.indexOf(text)).split('\n').length;
}

describe('loadCatalog', () => {
  it.each(FAULTS)('stops at $name, naming file, line and reason', async (fault) => {
    const copy = await modesWith(fault.file, fault.from, fault.to);
    const error = await loadCatalog(copy).catch((caught: unknown) => caught);
    if (!(error instanceof ModeFileError)) throw new Error(`loaded, or: ${String(error)}`);
    expect(error.file).toBe(join(copy, fault.file));
    expect(error.reason).toMatch(fault.reason);
    expect(error.message).toBe(`${error.file}:${error.line}: ${error.reason}`);
    const { reportedAt = fault.from } = fault;
    if (reportedAt !== null) expect(error.line).toBe(await lineOf(fault.file, reportedAt));
  });

  it('reports an unknown key on its own line, not on that of its object', async () => {
    const objective = 'objective: SFT_THEN_DPO';
    const copy = await modesWith('subject.yaml', objective, `${objective}\nobjectve: DPO`);
    const line = (await lineOf('subject.yaml', objective)) + 1;
    await expect(loadCatalog(copy)).rejects.toMatchObject({ line });
  });

  it('loads the shipped modes with their sources', async () => {
    const catalog = await loadCatalog(MODES);
    expect(catalog.modes.map(({ key, sources }) => ({ key, sources }))).toEqual([
      { key: 'continue', sources: ['mail.sent', 'notes'] },
      { key: 'reply', sources: ['mail.sent', 'contacts'] },
      { key: 'subject', sources: ['mail.sent'] },
    ]);
    expect(catalog.sources).toEqual(['contacts', 'mail.sent', 'notes']);
    expect(catalog.modesOf('contacts').map(({ key }) => key)).toEqual(['reply']);
  });

  it.each([
    ['subject', { body: 'BODY' }, 'BODY'],
    ['reply', { from: 'a@example.org', subject: 'Tea', body: 'BODY' }, 'From: a@example.org'],
    ['continue', { text: 'TEXT' }, 'TEXT'],
  ])('renders the prompt of the shipped mode %s', async (key, input, shown) => {
    const catalog = await loadCatalog(MODES);
    const messages = renderPrompt(catalog.mode(key), input, {});
    expect(messages.map(({ role }) => role)).toEqual(['system', 'user']);
    expect(messages.at(-1)?.content).toContain(shown);
  });

  it('can be limited to some modes, all sources staying known', async () => {
    const catalog = await loadCatalog(MODES, { only: ['subject'] });
    expect(catalog.modes.map(({ key }) => key)).toEqual(['subject']);
    expect(catalog.validateRecord('notes', { text: 'x' })).toBeNull();
  });

  it('refuses to be limited to a mode that does not exist', async () => {
    await expect(loadCatalog(MODES, { only: ['sbject'] })).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: 'no mode "sbject"; known modes: continue, reply, subject',
    });
  });

  it('answers an unknown key with NOT_FOUND and the known ones', async () => {
    const catalog = await loadCatalog(MODES);
    expect(() => catalog.mode('nope')).toThrow(
      expect.objectContaining({
        code: 'NOT_FOUND',
        message: 'no mode "nope"; known modes: continue, reply, subject',
      }),
    );
  });
});
