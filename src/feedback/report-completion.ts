import { contextOf } from '../changes/context.ts';
import { findDevice } from '../changes/devices.ts';
import type { Db } from '../db/database.ts';
import type { CompletionRow } from '../db/schema.ts';
import { readForgetCount } from '../db/user-row.ts';
import type { Json } from '../lib/canonical-json.ts';
import type { ChatMessage } from '../lib/chat-message.ts';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';
import { textFlaw } from '../lib/storable.ts';
import type { Mode, ModeCatalog } from '../modes/mode.ts';
import { parseInput, renderPrompt } from '../modes/prompt.ts';
import { completionByClientId, storeCompletion } from './completions.ts';

/** Longer than any answer that a device's context window can hold. */
const MAX_TEXT_CHARACTERS = 100_000;

const MAX_CLIENT_ID_CHARACTERS = 200;

/** What reporting needs. */
export interface ReportDeps {
  readonly db: Db;
  readonly catalog: ModeCatalog;
  readonly clock: Clock;
  /** The lengths of a prompt and its answer, as the base's tokenizer counts them. */
  countTokens(
    messages: readonly ChatMessage[],
    text: string,
  ): { readonly promptTokens: number; readonly completionTokens: number };
}

/** An answer that a device gave by itself. */
export interface CompletionReport {
  readonly deviceId: string;
  readonly clientId: string;
  readonly mode: string;
  readonly input: Json;
  readonly text: string;
  /** The adapter that answered; null: the bare base. */
  readonly adapterId: string | null;
}

/** Stores a device's answer, so that it can be rated; repeating the clientId returns the first report.
 *  Throws NOT_FOUND for an unknown device, mode or adapter, BAD_INPUT for an input that is not the mode's. */
export async function reportCompletion(
  deps: ReportDeps,
  userId: string,
  report: CompletionReport,
): Promise<CompletionRow> {
  const { db, catalog } = deps;
  await findDevice(db, userId, report.deviceId);
  checkText('clientId', report.clientId, MAX_CLIENT_ID_CHARACTERS);
  const first = await completionByClientId(db, userId, report.clientId);
  if (first !== null) return first;
  const mode = catalog.mode(report.mode);
  const input = parseInput(mode, report.input);
  checkText('text', report.text, MAX_TEXT_CHARACTERS);
  const adapter = await findAdapter(db, userId, mode, report.adapterId);
  const forgetCount = await readForgetCount(db, userId);
  const context = await contextOf(db, userId, mode, input);
  return storeCompletion(db, userId, {
    clientId: report.clientId,
    mode: mode.key,
    input,
    context,
    text: report.text,
    adapter,
    ...deps.countTokens(renderPrompt(mode, input, context.values), report.text),
    finishReason: 'STOP',
    createdAt: new Date(deps.clock.now()),
    forgetCount,
  });
}

function checkText(field: string, text: string, maxCharacters: number): void {
  const flaw =
    text.length > maxCharacters
      ? `must not have more than ${maxCharacters} characters; it has ${text.length}`
      : textFlaw(text);
  if (flaw !== null) throw new AppError('BAD_INPUT', `${field} ${flaw}.`);
}

/** An adapter of the user's or a shipped one; any status, for a device may report late. */
async function findAdapter(db: Db, userId: string, mode: Mode, adapterId: string | null) {
  if (adapterId === null) return null;
  const adapter = await db
    .selectFrom('adapters')
    .select(['id', 'mode', 'dataThrough'])
    .where('id', '=', adapterId)
    .where((eb) => eb.or([eb('userId', '=', userId), eb('userId', 'is', null)]))
    .executeTakeFirst();
  if (adapter === undefined)
    throw new AppError('NOT_FOUND', 'adapterId names no adapter of yours.');
  if (adapter.mode === mode.key) return adapter;
  const what = `adapterId names an adapter of mode "${adapter.mode}"`;
  throw new AppError('BAD_INPUT', `${what}, but the answer is of mode "${mode.key}".`);
}
