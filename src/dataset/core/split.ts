import type { Split } from '../../db/dataset-tables.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import type { ChatMessage } from '../../lib/chat-message.ts';
import { textSha256 } from '../../lib/text-sha256.ts';
import { inputKey } from '../../modes/prompt.ts';

/** The part that all preferences about this input (`inputKey`) are in, unless it is an example's. */
export function splitOfInput(inputSha256: string): Split {
  return splitOf('preferences', inputSha256);
}

/** What a part of a dataset has. */
interface Asked {
  readonly split: Split;
  readonly messages: readonly ChatMessage[];
}

/** The further from learning, the later. */
const SPLITS: readonly Split[] = ['train', 'validation', 'holdout'];

/** The items, those about the prompt of an example in that example's part: what the user says of an answer to a mail is not
 *  learnt from where that mail is there to measure. Of several examples' parts, the one furthest from learning. */
export function besideExamples<Item extends Asked>(
  items: readonly Item[],
  examples: readonly Asked[],
): readonly Item[] {
  const parts = new Map<string, Split>();
  for (const split of SPLITS)
    for (const example of examples)
      if (example.split === split) parts.set(promptKey(example), split);
  return items.map((item) => ({ ...item, split: parts.get(promptKey(item)) ?? item.split }));
}

/** Prompts are equal as inputs are. */
function promptKey({ messages }: Asked): string {
  return inputKey(messages.map(({ role, content }) => [role, content]));
}

/** The part of every dataset that all examples of this record are in: of all records 70% train, 10% validation and 20%
 *  holdout. It depends on the record's name alone, so that an edited record never crosses over. */
export function splitOf(source: string, recordId: string): Split {
  const share =
    Number.parseInt(textSha256(canonicalJson([source, recordId])).slice(0, 8), 16) / 2 ** 32;
  if (share < 0.7) return 'train';
  return share < 0.8 ? 'validation' : 'holdout';
}
