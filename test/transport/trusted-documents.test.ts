import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { StartError } from '../../src/lib/start-error.ts';
import { readManifest } from '../../src/transport/trusted-documents.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

const header = { format: 'apollo-persisted-query-manifest', version: 1 };

describe('a manifest of trusted documents', () => {
  const fresh = useTemporaryFolder();
  const write = async (content: unknown) => {
    const path = fresh('manifest.json');
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };

  it('is read as Apollo writes it', async () => {
    const operation = { id: 'a1', name: 'Viewer', type: 'query', body: '{ viewer { id } }' };
    const manifest = await readManifest(await write({ ...header, operations: [operation] }));
    expect([...manifest]).toEqual([['a1', '{ viewer { id } }']]);
  });

  it.each([
    ['no JSON', '{'],
    ['another format', { ...header, format: 'other', operations: [] }],
    ['another version', { ...header, version: 2, operations: [] }],
    ['no operations', header],
    ['an operation without a body', { ...header, operations: [{ id: 'a1' }] }],
  ])('that holds %s stops the start with its path', async (_, content) => {
    const path = await write(content);
    const failure = await readManifest(path).catch((error) => error);
    expect(failure).toBeInstanceOf(StartError);
    expect(failure.message).toContain(path);
  });

  it('that is not there stops the start with its path', async () => {
    await expect(readManifest('/nowhere/manifest.json')).rejects.toThrow('/nowhere/manifest.json');
  });
});
