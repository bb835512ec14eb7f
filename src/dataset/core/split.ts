import type { Split } from '../../db/dataset-tables.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import { textSha256 } from '../../lib/text-sha256.ts';

/** The part of every dataset that all preferences about this input (`inputKey`) are in. */
export function splitOfInput(inputSha256: string): Split {
  return splitOf('preferences', inputSha256);
}

/** The part of every dataset that all examples of this record are in: of all records 70% train, 10% validation and 20%
 *  holdout. It depends on the record's name alone, so that an edited record never crosses over. */
export function splitOf(source: string, recordId: string): Split {
  const share =
    Number.parseInt(textSha256(canonicalJson([source, recordId])).slice(0, 8), 16) / 2 ** 32;
  if (share < 0.7) return 'train';
  return share < 0.8 ? 'validation' : 'holdout';
}
