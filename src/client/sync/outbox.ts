// The changes that the server has not answered yet. What comes in: changes of the app. What goes out: batches in order,
// each change with a number that never carries another payload. Knows nothing of the network.

import type { Json } from '../../lib/canonical-json.ts';
import { Turns } from '../../lib/turns.ts';
import { type ChangeAnswer, type ChangeMessage, MAX_PUSH_CHANGES } from '../../sync/protocol.ts';
import type { DeviceStorage, Write } from '../storage/storage.ts';

/** Half of what the server takes in one push, counted in UTF-16 units of JSON, which may be up to three bytes each. */
const MAX_BATCH_UNITS = 1_000_000;

const CHANGES = 'outbox/';
const REJECTED = 'rejected/';
const NUMBERING = 'numbering';

/** How places in the outbox become mutationIds: mutationId = place + shift. */
interface Numbering {
  /** The place of the next change. */
  readonly next: number;
  /** null until the device has registered. */
  readonly shift: number | null;
}

/** A change as it is sent. */
export interface NumberedChange extends ChangeMessage {
  readonly mutationId: number;
}

/** A change that the server will never take, and why. */
export interface RejectedChange {
  readonly change: ChangeMessage;
  readonly reason: string;
}

/** The durable queue of one device's changes. */
export class Outbox {
  readonly #storage: DeviceStorage;
  readonly #turns = new Turns();

  constructor(storage: DeviceStorage) {
    this.#storage = storage;
  }

  /** Keeps the changes and writes what is to be written besides, in order and all or none; they are safe when it resolves. Throws RangeError for one that no push
   *  could carry: it would block those behind it. */
  async add(changes: readonly ChangeMessage[], besides: readonly Write[] = []): Promise<void> {
    for (const change of changes) checkSendable(change);
    await this.#append(changes, besides);
  }

  /** Runs the task while nothing is added, answered or numbered. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    return this.#turns.take(task);
  }

  #append(changes: readonly ChangeMessage[], besides: readonly Write[]): Promise<void> {
    return this.#turns.take(async () => {
      const { next, shift } = await this.#numbering();
      const numbering: Write = [NUMBERING, { next: next + changes.length, shift }];
      await this.#storage.write([
        ...besides,
        ...changes.map((change, n): Write => [keyOf(CHANGES, next + n), asJson(change)]),
        ...(changes.length === 0 ? [] : [numbering]),
      ]);
    });
  }

  /** How many changes wait. */
  async size(): Promise<number> {
    return (await this.#storage.list(CHANGES)).length;
  }

  /** The changes that wait. */
  async waiting(): Promise<readonly ChangeMessage[]> {
    return (await this.#waiting()).map(({ change }) => change);
  }

  /** Takes up the server's numbering at the first registration, and when an empty outbox finds the server ahead. */
  register(lastMutationId: number): Promise<void> {
    return this.#turns.take(async () => {
      const { next, shift } = await this.#numbering();
      const waiting = await this.#waiting();
      const isBehind = waiting.length === 0 && shift !== null && lastMutationId >= next + shift;
      if (shift !== null && !isBehind) return;
      const first = waiting[0]?.place ?? next;
      await this.#storage.write([[NUMBERING, { next, shift: lastMutationId + 1 - first }]]);
    });
  }

  /** Takes out the changes that are not for the server, and makes `writesOf` them: they were made before the device knew.
   *  What the server has not seen yet closes up. */
  sift(
    isForServer: (change: ChangeMessage) => boolean,
    writesOf: (change: ChangeMessage) => readonly Write[],
    lastMutationId: number,
  ): Promise<void> {
    return this.#turns.take(async () => {
      const { shift } = await this.#numbering();
      const waiting = await this.#waiting();
      const unseen = waiting.filter(({ place }) => place + (shift ?? 0) > lastMutationId);
      const left = unseen.filter(({ change }) => isForServer(change));
      const first = unseen[0]?.place;
      if (first === undefined || left.length === unseen.length) return;
      await this.#storage.write([
        ...unseen.map(({ place }): Write => [keyOf(CHANGES, place), undefined]),
        ...left.map(({ change }, n): Write => [keyOf(CHANGES, first + n), asJson(change)]),
        ...unseen.flatMap(({ change }) => (isForServer(change) ? [] : writesOf(change))),
        [NUMBERING, { next: first + left.length, shift }],
      ]);
    });
  }

  /** The oldest changes, as many as one push takes, and none from the first one on that is not for the server. The device must
   *  have registered. */
  async batch(
    isForServer: (change: ChangeMessage) => boolean = () => true,
  ): Promise<readonly NumberedChange[]> {
    const { shift } = await this.#numbering();
    if (shift === null) throw new Error('the outbox has no numbers before the device registered');
    let units = 0;
    const batch: NumberedChange[] = [];
    for (const { place, change } of await this.#waiting()) {
      if (!isForServer(change)) break;
      units += JSON.stringify(change).length;
      if (batch.length === MAX_PUSH_CHANGES || (batch.length > 0 && units > MAX_BATCH_UNITS)) break;
      batch.push({ ...change, mutationId: place + shift });
    }
    return batch;
  }

  /** Lets go of what the server answered. A change whose number was used by another one stays, and all that is left is
   *  numbered anew behind what the server has. */
  settle(results: readonly ChangeAnswer[], lastMutationId: number): Promise<void> {
    return this.#turns.take(async () => {
      const { shift, next } = await this.#numbering();
      const answers = new Map(results.map((answer) => [answer.mutationId - (shift ?? 0), answer]));
      const waiting = await this.#waiting();
      const isOver = ({ place }: Waiting) => answers.has(place) && !isConflict(answers.get(place));
      const left = waiting.filter((entry) => !isOver(entry));
      await this.#storage.write([
        ...waiting.filter(isOver).flatMap((entry) => closing(entry, answers.get(entry.place))),
        ...(results.some(isConflict) ? moved(left, next, lastMutationId) : []),
      ]);
    });
  }

  /** Numbers what is left from the mutationId that the server expects: it has forgotten what came before. */
  continueFrom(expectedMutationId: number): Promise<void> {
    return this.#turns.take(async () => {
      const { next } = await this.#numbering();
      const first = (await this.#waiting())[0]?.place ?? next;
      await this.#storage.write([[NUMBERING, { next, shift: expectedMutationId - first }]]);
    });
  }

  /** The changes that the server refused for good, oldest first, until they are dismissed. */
  async rejected(): Promise<readonly RejectedChange[]> {
    const entries = await this.#storage.list(REJECTED);
    return entries.map(([, value]) => value as unknown as RejectedChange);
  }

  /** Forgets the refused changes that were there when it was called. */
  async dismissRejected(): Promise<void> {
    const entries = await this.#storage.list(REJECTED);
    await this.#storage.write(entries.map(([key]) => [key, undefined]));
  }

  async #numbering(): Promise<Numbering> {
    const kept = await this.#storage.get(NUMBERING);
    return (kept as unknown as Numbering | undefined) ?? { next: 1, shift: null };
  }

  async #waiting(): Promise<readonly Waiting[]> {
    const entries = await this.#storage.list(CHANGES);
    return entries.map(([key, value]) => ({
      place: Number(key.slice(CHANGES.length)),
      change: value as unknown as ChangeMessage,
    }));
  }
}

/** A change and its place in the outbox. */
interface Waiting {
  readonly place: number;
  readonly change: ChangeMessage;
}

function checkSendable({ recordId, occurredAt, ...rest }: ChangeMessage): void {
  if (Number.isNaN(Date.parse(occurredAt))) {
    throw new RangeError(`occurredAt of ${recordId} is ${occurredAt}; it must be an ISO 8601 date`);
  }
  const units = JSON.stringify(rest).length + recordId.length;
  if (units > MAX_BATCH_UNITS) {
    throw new RangeError(`${recordId} has ${units} characters; at most ${MAX_BATCH_UNITS} fit`);
  }
}

const isConflict = (answer: ChangeAnswer | undefined) =>
  answer?.outcome === 'REJECTED' && answer.reason === 'CONFLICT';

/** The writes that take an answered change out; what was refused is kept for the app to see. */
function closing({ place, change }: Waiting, answer: ChangeAnswer | undefined): Write[] {
  const gone: Write = [keyOf(CHANGES, place), undefined];
  if (answer?.outcome !== 'REJECTED') return [gone];
  return [gone, [keyOf(REJECTED, place), asJson({ change, reason: answer.reason ?? '' })]];
}

/** The writes that move every waiting change to a new place behind all old ones. */
function moved(waiting: readonly Waiting[], next: number, lastMutationId: number): Write[] {
  return [
    ...waiting.map(({ place }): Write => [keyOf(CHANGES, place), undefined]),
    ...waiting.map(({ change }, n): Write => [keyOf(CHANGES, next + n), asJson(change)]),
    [NUMBERING, { next: next + waiting.length, shift: lastMutationId + 1 - next }],
  ];
}

/** Keys in code-unit order are in numeric order. */
function keyOf(prefix: string, place: number): string {
  return prefix + String(place).padStart(12, '0');
}

const asJson = (value: object): Json => value as unknown as Json;
