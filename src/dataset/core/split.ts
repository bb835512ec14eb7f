import type { Split } from '../../db/dataset-tables.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import { textSha256 } from '../../lib/text-sha256.ts';

/** The part that all preferences about this input (`inputKey`) are in, unless it is an example's: see `partsByInput`. */
export function splitOfInput(inputSha256: string): Split {
  return splitOf('preferences', inputSha256);
}

/** The further from learning, the later. */
const SPLITS: readonly Split[] = ['train', 'validation', 'holdout'];

/** The part of each input that an example has, by the input's hash: preferences about it are there too, so that what the user says
 *  of an answer to a mail is not learnt from where that mail is there to measure. Of several examples' parts, the one
 *  furthest from learning. */
export function partsByInput(
  examples: readonly { readonly split: Split; readonly inputSha256: string }[],
): ReadonlyMap<string, Split> {
  return new Map(
    SPLITS.flatMap((part) =>
      examples
        .filter(({ split }) => split === part)
        .map(({ inputSha256 }): [string, Split] => [inputSha256, part]),
    ),
  );
}

/** The part of every dataset that all examples of this record are in: of all records 70% train, 10% validation and 20%
 *  holdout. It depends on the record's name alone, so that an edited record never crosses over. */
export function splitOf(source: string, recordId: string): Split {
  const share =
    Number.parseInt(textSha256(canonicalJson([source, recordId])).slice(0, 8), 16) / 2 ** 32;
  if (share < 0.7) return 'train';
  return share < 0.8 ? 'validation' : 'holdout';
}
