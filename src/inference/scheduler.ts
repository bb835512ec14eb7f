// Who runs next: a pure table of waiting, prefilling and decoding requests. It knows nothing of tensors, models or time;
// the engine asks it what to do before each step and tells it what came of it.
//
// Fairness is start-time fair queueing: each ticket gets a start tag, which counts tokens; a user's next ticket starts
// where their last one ends, and a newcomer starts at the present. So one user's flood lines up behind itself, and
// nobody waits for ever.

/** One request as the scheduler sees it. */
export interface Ticket {
  readonly id: number;
  readonly userId: string;
  /** Index into `limits.classes`. */
  readonly lengthClass: number;
  /** The most positions that this request can ever fill in the KV cache. */
  readonly reservedTokens: number;
}

/** Rows of like length share their memory, and each pays for the longest among them. */
export interface LengthClass {
  /** Requests that reserve at most this many tokens belong here. */
  readonly maxTokens: number;
  /** Rows at once, those that are still prefilled included. */
  readonly rows: number;
  /** Rows times the longest reservation stays within this. */
  readonly capacityTokens: number;
  /** Rows that may be prefilled at once. */
  readonly lanes: number;
}

/** What the engine can hold. */
export interface SchedulerLimits {
  readonly classes: readonly LengthClass[];
  readonly maxWaiting: number;
  /** Keeps one user's flood from filling the queue for all others. */
  readonly maxWaitingPerUser: number;
}

interface WaitingTicket extends Ticket {
  readonly startTag: number;
}

/** Everything the scheduler knows; each function below returns the next state. */
export interface Schedule {
  /** By start tag, then by arrival. */
  readonly waiting: readonly WaitingTicket[];
  /** The first one runs its chunk next. */
  readonly prefilling: readonly Ticket[];
  readonly decoding: readonly Ticket[];
  /** Where newcomers start: tokens that each user would have been given by now. */
  readonly now: number;
  /** Where each user's last ticket ends; users whose end has passed are forgotten. */
  readonly userEnds: ReadonlyMap<string, number>;
}

/** A schedule with nothing in it. */
export const EMPTY_SCHEDULE: Schedule = {
  waiting: [],
  prefilling: [],
  decoding: [],
  now: 0,
  userEnds: new Map(),
};

/** The class of a request that reserves so many tokens: the first that is long enough. */
export function lengthClassOf(limits: SchedulerLimits, reservedTokens: number): number {
  const index = limits.classes.findIndex((one) => reservedTokens <= one.maxTokens);
  if (index < 0) throw new RangeError(`no length class holds ${reservedTokens} tokens`);
  return index;
}

/** Puts a ticket in line; null when the line, or this user's part of it, is full. */
export function enqueue(
  schedule: Schedule,
  ticket: Ticket,
  limits: SchedulerLimits,
): Schedule | null {
  const { waiting, now, userEnds } = schedule;
  const own = waiting.filter((other) => other.userId === ticket.userId).length;
  if (waiting.length >= limits.maxWaiting || own >= limits.maxWaitingPerUser) return null;
  const startTag = Math.max(now, userEnds.get(ticket.userId) ?? 0);
  const behind = waiting.findIndex((other) => other.startTag > startTag);
  const place = behind < 0 ? waiting.length : behind;
  return {
    ...schedule,
    waiting: waiting.toSpliced(place, 0, { ...ticket, startTag }),
    userEnds: new Map(userEnds).set(ticket.userId, startTag + ticket.reservedTokens),
  };
}

/** Starts the next waiting ticket that may start, if any: `isReady` says whether its adapter is in memory.
 *  A ticket that does not fit yet blocks its length class, so that small ones cannot starve it. */
export function startNext(
  schedule: Schedule,
  limits: SchedulerLimits,
  isReady: (ticket: Ticket) => boolean,
): { schedule: Schedule; started: Ticket } | null {
  const blocked = new Set<number>();
  for (const ticket of schedule.waiting) {
    if (blocked.has(ticket.lengthClass) || !isReady(ticket)) continue;
    if (!hasTurn(schedule, ticket, limits)) continue;
    if (fits(schedule, ticket, limits))
      return { schedule: start(schedule, ticket), started: ticket };
    blocked.add(ticket.lengthClass);
  }
  return null;
}

/** The ticket whose prompt gets the next chunk. */
export function nextPrefill(schedule: Schedule): Ticket | null {
  return schedule.prefilling[0] ?? null;
}

/** After a chunk that was not the prompt's last: the others have their turn first. */
export function chunkDone(schedule: Schedule): Schedule {
  const [first, ...others] = schedule.prefilling;
  return first === undefined ? schedule : { ...schedule, prefilling: [...others, first] };
}

/** After the prompt's last chunk: the ticket decodes from now on. */
export function prefillDone(schedule: Schedule): Schedule {
  const [first, ...others] = schedule.prefilling;
  if (first === undefined) return schedule;
  return { ...schedule, prefilling: others, decoding: [...schedule.decoding, first] };
}

/** Takes a ticket out, wherever it is. */
export function remove(schedule: Schedule, id: number): Schedule {
  const others = (ticket: Ticket) => ticket.id !== id;
  return {
    ...schedule,
    waiting: schedule.waiting.filter(others),
    prefilling: schedule.prefilling.filter(others),
    decoding: schedule.decoding.filter(others),
  };
}

/** The present moves on as if all users who are here were served evenly at once: so newcomers never start in the past
 *  of those who wait, and whoever waits is reached. */
function start(schedule: Schedule, ticket: WaitingTicket): Schedule {
  const step = ticket.reservedTokens / usersOf(schedule).size;
  const now = Math.max(schedule.now, ticket.startTag) + step;
  return {
    ...schedule,
    waiting: schedule.waiting.filter((other) => other !== ticket),
    prefilling: [...schedule.prefilling, ticket],
    now,
    userEnds: new Map([...schedule.userEnds].filter(([, end]) => end > now)),
  };
}

function usersOf({ waiting, prefilling, decoding }: Schedule): ReadonlySet<string> {
  return new Set([...waiting, ...prefilling, ...decoding].map((ticket) => ticket.userId));
}

/** A user prefills one prompt at a time, and beyond their first row takes only their share. The shares are counted with
 *  one user more than there are, so that the next newcomer finds room. */
function hasTurn(schedule: Schedule, ticket: Ticket, limits: SchedulerLimits): boolean {
  const isOwn = (other: Ticket) => other.userId === ticket.userId;
  if (schedule.prefilling.some(isOwn)) return false;
  const own = activeIn(schedule, ticket.lengthClass).filter(isOwn);
  if (own.length === 0) return true;
  const users = usersOf(schedule).size;
  const { rows, capacityTokens } = classOf(limits, ticket.lengthClass);
  const ownTokens = own.reduce((sum, other) => sum + other.reservedTokens, ticket.reservedTokens);
  return own.length + 1 <= rows / (users + 1) && ownTokens <= capacityTokens / (users + 1);
}

function fits(schedule: Schedule, ticket: Ticket, limits: SchedulerLimits): boolean {
  const { rows, capacityTokens, lanes } = classOf(limits, ticket.lengthClass);
  const others = activeIn(schedule, ticket.lengthClass);
  const longest = Math.max(ticket.reservedTokens, ...others.map((other) => other.reservedTokens));
  const prefilling = schedule.prefilling.filter((other) => isIn(other, ticket.lengthClass)).length;
  const count = others.length + 1;
  return count <= rows && count * longest <= capacityTokens && prefilling < lanes;
}

function activeIn(schedule: Schedule, lengthClass: number): readonly Ticket[] {
  return [...schedule.prefilling, ...schedule.decoding].filter((one) => isIn(one, lengthClass));
}

function isIn(ticket: Ticket, lengthClass: number): boolean {
  return ticket.lengthClass === lengthClass;
}

function classOf(limits: SchedulerLimits, index: number): LengthClass {
  const found = limits.classes[index];
  if (found === undefined) throw new RangeError(`no length class ${index}`);
  return found;
}
