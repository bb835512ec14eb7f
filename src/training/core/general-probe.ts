// A fixed text that no user wrote. How well an adapter still foretells it says whether learning one user's manner has cost
// the language itself. The texts are our own words about common knowledge; changing them makes old figures incomparable.

import type { Tokenizer } from '../../model/tokenizer/tokenizer.ts';
import type { TokenExample } from './token-example.ts';

/** Plain prose, a list, a recipe, arithmetic, code, a dialogue: what an everyday model is asked for. */
export const PROBE_TEXTS: readonly string[] = [
  'The Moon goes round the Earth once in about twenty-seven days. It always shows us the same side, because it turns on its own axis in the same time. We see it only because it reflects the light of the Sun.',
  'Water freezes at zero degrees Celsius and boils at one hundred at sea level. On a high mountain the air is thinner, so that water boils at a lower temperature and potatoes take longer to cook.',
  'To make a simple bread, mix flour, water, salt and yeast. Knead the dough for ten minutes, cover it with a cloth and let it rise for an hour. Then shape it into a loaf and bake it in a hot oven until the crust is brown.',
  'There are seven days in a week: Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday. A year has twelve months, of which February is the shortest.',
  'If one ticket costs four euros, then three tickets cost twelve euros. With a note of twenty euros you get eight euros back.',
  'def mean(values):\n    """Return the average of a list of numbers."""\n    if not values:\n        raise ValueError("the list is empty")\n    return sum(values) / len(values)\n',
  '"Excuse me, is this seat taken?" asked the old man. "No, please sit down," said the girl, and moved her bag to the floor. The train began to move, and for a while both of them looked out of the window.',
  'Paris is the capital of France, Rome is the capital of Italy, and Tokyo is the capital of Japan. The longest river in Africa is the Nile, which flows north into the Mediterranean Sea.',
];

/** The probe as tokens: each text is foretold from its first token on. Longer texts than `maxTokens` lose their end. */
export function probeExamples(tokenizer: Tokenizer, maxTokens: number): readonly TokenExample[] {
  return PROBE_TEXTS.map((text) => ({
    sha256: text,
    ids: tokenizer.encode(text).slice(0, maxTokens),
    promptLength: 1,
  }));
}
