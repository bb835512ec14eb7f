// The protocol's rules and the tests that show them carry the same ids.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const ID = /\b(?:PUSH|FEED|DOWN|ACK|DEV|SIGN)-\d+\b/g;

const protocol = await readFile(join(root, 'docs/protocol.md'), 'utf8');
const rules = [...protocol.matchAll(/^\| ([A-Z]+-\d+) \|/gm)].map(([, id = '']) => id);

it('gives every rule an id of its own', () => {
  expect(rules.length).toBeGreaterThan(30);
  expect(new Set(rules).size).toBe(rules.length);
});

it('names every rule in a test, and no rule that is not there', async () => {
  const named = new Set<string>();
  for (const path of await readdir(join(root, 'test'), { recursive: true })) {
    if (!path.endsWith('.test.ts')) continue;
    const names = (await readFile(join(root, 'test', path), 'utf8')).matchAll(ID);
    for (const [id] of names) named.add(id);
  }
  expect([...named].sort()).toEqual([...rules].sort());
});
