import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { datasetSha256, EMPTY_DATASET_SHA256 } from '../../../src/dataset/core/dataset-name.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const part = (number: number) => ({ sha256: sha256(`part ${number}`) });
/** Few of them, so that the same part comes twice, and some share a bucket. */
const parts = fc.array(fc.integer({ min: 0, max: 60 }).map(part), { maxLength: 40 });

/** Named word by word as docs/datasets.md says. */
function asDescribed(examples: readonly string[], preferences: readonly string[]): string {
  const list = (hashes: readonly string[]) => {
    const lines: string[] = [];
    for (let i = 0; i < 256; i += 1) {
      const digits = i.toString(16).padStart(2, '0');
      const within = hashes.filter((hash) => hash.startsWith(digits)).sort();
      if (within.length > 0) lines.push(`${digits} ${sha256(within.join('\n'))}`);
    }
    return sha256(lines.join('\n'));
  };
  return sha256(`${list(examples)}\n${list(preferences)}`);
}

describe('the name of a dataset', () => {
  it('is what the documentation says, in whatever order the parts come', () => {
    fc.assert(
      fc.property(parts, parts, fc.infiniteStream(fc.nat()), (examples, preferences, order) => {
        const hashesOf = (list: readonly { sha256: string }[]) => list.map((one) => one.sha256);
        const shuffled = examples
          .map((one) => ({ one, place: order.next().value }))
          .sort((a, b) => a.place - b.place)
          .map(({ one }) => one);
        const expected = asDescribed(hashesOf(examples), hashesOf(preferences));
        expect(datasetSha256(examples, preferences)).toBe(expected);
        expect(datasetSha256(shuffled, preferences)).toBe(expected);
      }),
    );
  });

  it('is another one for every other content', () => {
    const [a, b, c] = [part(1), part(2), part(3)];
    const contents = [
      [[], []],
      [[a], []],
      [[], [a]],
      [[a, a], []],
      [[a, b], []],
      [[a], [b]],
      [[b], [a]],
      [[a, b, c], []],
      [[a, b], [c]],
    ] as const;
    const names = contents.map(([examples, preferences]) => datasetSha256(examples, preferences));
    expect(new Set(names).size).toBe(contents.length);
    expect(names[0]).toBe(EMPTY_DATASET_SHA256);
  });
});
