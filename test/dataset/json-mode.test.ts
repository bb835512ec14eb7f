import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { reduce } from '../../src/dataset/core/reduce.ts';
import { loadCatalog } from '../../src/modes/catalog.ts';
import type { Mode } from '../../src/modes/mode.ts';

const FILE = `
key: errand
title: Errand
description: What a note asks for.
sources: [mail.sent]
objective: SFT
input:
  type: object
  properties: { body: { type: string, minLength: 1 } }
  required: [body]
  additionalProperties: false
prompt: [{ role: user, content: "{{ input.body }}" }]
output:
  schema:
    type: object
    properties:
      what: { type: string, minLength: 1, maxLength: 12 }
      urgent: { type: boolean }
    required: [what]
    additionalProperties: false
examples:
  mail.sent:
    - input: { body: "{{ record.body }}" }
      target: "{{ record.subject }}"
lora: { rank: 8, alpha: 16, targets: all }
training: { learningRate: 0.001, epochs: 1, batchSize: 1, maxTokens: 64 }
trigger: { debounceMs: 0 }
gate: { marginNats: 0.0, minHoldout: 8 }
decode: { maxTokens: 24, stop: [] }
`;

let dir: string;
let mode: Mode;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'attune-json-mode-'));
  await cp(fileURLToPath(new URL('../../modes', import.meta.url)), dir, { recursive: true });
  await writeFile(join(dir, 'errand.yaml'), FILE);
  mode = (await loadCatalog(dir)).mode('errand');
});
afterAll(() => rm(dir, { recursive: true }));

const targetsOf = (subject: string) => {
  const data = { to: [], subject, body: 'Could you buy paint and two oars before Sunday?' };
  return reduce(mode, [{ source: 'mail.sent', recordId: 'm1', data }]).map(({ target }) => target);
};

it('learns JSON that fits its schema, in the form in which answers are written', () => {
  expect(targetsOf('{ "urgent": true, "what": "buy paint" }')).toEqual([
    '{"what":"buy paint","urgent":true}',
  ]);
});

it.each([
  ['no JSON', 'Buy paint'],
  ['JSON of another schema', '{"what":""}'],
  ['a field too many', '{"what":"buy","where":"shop"}'],
  ['a text too long', '{"what":"buy paint and oars"}'],
])('leaves out a target that is %s', (_, subject) => expect(targetsOf(subject)).toEqual([]));

it('is of another shape than without the schema', async () => {
  const plain = FILE.replace(/output:[\s\S]*?(?=examples:)/, '');
  await writeFile(join(dir, 'errand.yaml'), plain);
  const other = (await loadCatalog(dir)).mode('errand');
  expect(other.output).toBeNull();
  expect(other.shapeSha256).not.toBe(mode.shapeSha256);
});
