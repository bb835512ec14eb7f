// CompleteInput as the engine's side wants it: every limit checked, every default in place.

import type { Question } from '../src/answers/answers.ts';
import type { AdapterChoice } from '../src/answers/choose-adapter.ts';
import { AppError } from '../src/lib/errors.ts';
import { shown } from '../src/lib/shown.ts';
import { textFlaw } from '../src/lib/storable.ts';
import type { Mode, ModeCatalog } from '../src/modes/mode.ts';
import { parseInput } from '../src/modes/prompt.ts';
import type { NexusGenInputs } from './nexus.generated.ts';

/** Longer ids are nobody's UUID, and the index that finds them has to hold them. */
const MAX_CLIENT_ID_CHARS = 200;
/** Every stop string is looked for after every token. */
const MAX_STOP_STRINGS = 16;
const MAX_STOP_CHARS = 100;
/** Each is told at every token. */
const MAX_TOP_LOGPROBS = 20;

type Input = NexusGenInputs['CompleteInput'];

/** Throws BAD_INPUT naming field, value and what is expected; NOT_FOUND for an unknown mode. */
export function parseCompleteInput(input: Input, catalog: ModeCatalog): Question {
  const mode = catalog.mode(input.mode);
  return {
    clientId: parseClientId(input.clientId),
    mode,
    input: parseInput(mode, input.input),
    adapter: parseAdapterChoice(input.adapter),
    maxTokens: parseMaxTokens(input.maxTokens, mode.decode.maxTokens),
    temperature: parseTemperature(input.temperature ?? 0),
    topP: parseTopP(input.topP ?? 1),
    seed: input.seed ?? null,
    stop: [...mode.decode.stop, ...parseStop(input.stop ?? [], mode)],
    topLogprobs: parseTopLogprobs(input.topLogprobs ?? undefined),
    deadlineMs: parseDeadline(input.deadlineMs ?? undefined),
  };
}

function parseClientId(clientId: string | null | undefined): string | null {
  if (clientId === null || clientId === undefined) return null;
  const isFit = clientId.length >= 1 && clientId.length <= MAX_CLIENT_ID_CHARS;
  return check(
    isFit && textFlaw(clientId) === null,
    'clientId',
    clientId,
    `1 to ${MAX_CLIENT_ID_CHARS} characters`,
  );
}

/** The mode's author says how long its answers may get; the caller may ask for less. */
function parseMaxTokens(maxTokens: number | null | undefined, limit: number): number {
  const wanted = maxTokens ?? limit;
  return Math.min(check(wanted >= 1, 'maxTokens', wanted, '1 or more'), limit);
}

function parseTemperature(temperature: number): number {
  return check(temperature >= 0, 'temperature', temperature, '0 or more');
}

function parseTopP(topP: number): number {
  return check(topP > 0 && topP <= 1, 'topP', topP, 'more than 0 and at most 1');
}

function parseTopLogprobs(count: number | undefined): number | undefined {
  const isFit = count === undefined || (count >= 0 && count <= MAX_TOP_LOGPROBS);
  return check(isFit, 'topLogprobs', count, `0 to ${MAX_TOP_LOGPROBS}`);
}

function parseDeadline(deadlineMs: number | undefined): number | undefined {
  return check(deadlineMs === undefined || deadlineMs >= 1, 'deadlineMs', deadlineMs, '1 or more');
}

function parseStop(stop: readonly string[], { key, output }: Mode): readonly string[] {
  const isFit = output === null || stop.length === 0;
  check(isFit, 'stop', stop, `none, since answers of mode "${key}" are JSON and end by themselves`);
  check(
    stop.length <= MAX_STOP_STRINGS,
    'stop',
    stop.length,
    `at most ${MAX_STOP_STRINGS} strings`,
  );
  return stop.map((text) =>
    check(
      text.length >= 1 && text.length <= MAX_STOP_CHARS,
      'stop',
      text,
      `strings of 1 to ${MAX_STOP_CHARS} characters`,
    ),
  );
}

function parseAdapterChoice(choice: Input['adapter']): AdapterChoice {
  if (choice === null || choice === undefined) return { kind: 'current' };
  const { sha256, heldByDevice, base } = choice;
  const chosen = [
    ...(typeof sha256 === 'string' ? [{ kind: 'bytes', sha256 } as const] : []),
    ...(typeof heldByDevice === 'string'
      ? [{ kind: 'heldBy', deviceId: heldByDevice } as const]
      : []),
    ...(typeof base === 'boolean' ? [{ kind: 'base' } as const] : []),
  ];
  const [only] = chosen;
  if (only === undefined || chosen.length > 1 || base === false) {
    throw new AppError(
      'BAD_INPUT',
      `adapter is ${shown(choice)}: expected exactly one of sha256, heldByDevice and base: true.`,
    );
  }
  return only;
}

function check<T>(holds: boolean, name: string, value: T, expected: string): T {
  if (holds) return value;
  throw new AppError('BAD_INPUT', `${name} is ${shown(value)}: expected ${expected}.`);
}
