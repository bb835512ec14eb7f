// The data of an adapter for everyone: a file with a JSON object a line, made into examples and pairs as a user's records
// and ratings are. docs/training.md describes the file.

import { cutTexts, isTarget, textsOf } from '../dataset/core/clean.ts';
import { datasetSha256 } from '../dataset/core/dataset-name.ts';
import { exampleSha256 } from '../dataset/core/example.ts';
import { byHash } from '../dataset/core/reduce.ts';
import { splitOf } from '../dataset/core/split.ts';
import { isBinary } from '../lib/binary-text.ts';
import { canonicalJson, type Json } from '../lib/canonical-json.ts';
import { AppError } from '../lib/errors.ts';
import { sha256 } from '../lib/sha256.ts';
import type { Mode } from '../modes/mode.ts';
import { asAnswer } from '../modes/output.ts';
import { inputKey, renderPrompt } from '../modes/prompt.ts';
import type { TrainingExample, TrainingPreference } from './core/training-set.ts';

/** What an adapter for everyone is trained on. */
export interface GlobalData {
  readonly examples: readonly TrainingExample[];
  readonly preferences: readonly TrainingPreference[];
  readonly datasetSha256: string;
  /** Lines that teach nothing: empty, binary, too long, no answer of the mode. */
  readonly dropped: number;
}

interface Line {
  readonly input: Json;
  readonly context: Readonly<Record<string, Json>>;
  /** One of a target, or two of an answer that is better than another. */
  readonly texts: readonly string[];
}

/** Reads the lines. `name` is the file's, for errors: throws BAD_INPUT with it and the line. Equal lines count once. */
export function parseGlobalData(text: string, mode: Mode, name: string): GlobalData {
  const lines = text
    .split('\n')
    .map((line, i) => ({ line: line.trim(), place: `${name}:${i + 1}` }))
    .filter(({ line }) => line !== '')
    .map(({ line, place }) => parseLine(line, mode, place));
  const fit = lines.flatMap((line) => fitted(line, mode));
  const examples = fit
    .filter(({ texts }) => texts.length === 1)
    .map((line) => exampleOf(mode, line));
  const preferences = fit
    .filter(({ texts }) => texts.length === 2)
    .map((line) => pairOf(mode, line));
  const sorted = { examples: onceEach(examples), preferences: onceEach(preferences) };
  return {
    ...sorted,
    datasetSha256: datasetSha256(sorted.examples, sorted.preferences),
    dropped: lines.length - fit.length,
  };
}

function onceEach<T extends { readonly sha256: string }>(items: readonly T[]): readonly T[] {
  return [...new Map(items.map((item) => [item.sha256, item])).values()].sort(byHash);
}

function parseLine(line: string, mode: Mode, place: string): Line {
  const bad = (what: string, cause?: unknown) =>
    new AppError('BAD_INPUT', `${place}: ${what}`, { cause });
  let fields: Json;
  try {
    fields = JSON.parse(line) as Json;
  } catch (error) {
    throw bad('is not JSON', error);
  }
  const { input, context, target, chosen, rejected, ...others } = Object(fields) as Record<
    string,
    Json
  >;
  const [other] = Object.keys(others);
  if (other !== undefined) throw bad(`"${other}" is unknown; a line has ${EXPECTED}`);
  const texts = [target, chosen, rejected].filter((value) => typeof value === 'string');
  const isWhole =
    typeof target === 'string'
      ? texts.length === 1
      : typeof chosen === 'string' && typeof rejected === 'string';
  if (input === undefined || !isWhole) throw bad(`a line has ${EXPECTED}`);
  const reason = mode.checkInput(input);
  if (reason !== null) throw bad(reason);
  return { input, context: Object(context ?? {}) as Line['context'], texts };
}

const EXPECTED = 'input, and target or chosen and rejected; context may be added';

/** The line with what is to be written as the mode writes its answers; none where that cannot be, or where a text teaches
 *  nothing. */
function fitted({ input, context, texts: [own = '', ...rejected] }: Line, mode: Mode): Line[] {
  const isReadable = ![...textsOf(input), ...textsOf(context)].some(isBinary);
  const answer = asAnswer(mode, own);
  if (!isReadable || answer === null || ![answer, ...rejected].every(isTarget)) return [];
  return [{ input, context, texts: [answer, ...rejected] }];
}

function exampleOf(mode: Mode, line: Line): TrainingExample {
  const [target = ''] = line.texts;
  const example = { split: splitOfLine(line), messages: messagesOf(mode, line), target };
  return { ...example, sha256: exampleSha256(example) };
}

function pairOf(mode: Mode, line: Line): TrainingPreference {
  const [chosen = '', rejected = ''] = line.texts;
  const { input, context } = line;
  return {
    split: splitOfLine(line),
    messages: messagesOf(mode, line),
    ...{ chosen, rejected },
    sha256: sha256(canonicalJson([input, context, chosen, rejected])),
  };
}

function messagesOf(mode: Mode, { input, context }: Line) {
  return renderPrompt(mode, cutTexts(input), Object(cutTexts(context)) as Line['context']);
}

/** All lines about one input are on one side. */
function splitOfLine({ input }: Line) {
  return splitOf('global', inputKey(input));
}
