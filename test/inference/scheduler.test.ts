import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  chunkDone,
  EMPTY_SCHEDULE,
  enqueue,
  lengthClassOf,
  nextPrefill,
  prefillDone,
  remove,
  type Schedule,
  type SchedulerLimits,
  startNext,
  type Ticket,
} from '../../src/inference/scheduler.ts';

const LIMITS: SchedulerLimits = {
  classes: [
    { maxTokens: 512, rows: 8, capacityTokens: 2048, lanes: 2 },
    { maxTokens: 1024, rows: 2, capacityTokens: 1024, lanes: 1 },
  ],
  maxWaiting: 12,
  maxWaitingPerUser: 6,
};

const ready = () => true;

function ticket(id: number, userId: string, reservedTokens = 128): Ticket {
  return { id, userId, reservedTokens, lengthClass: lengthClassOf(LIMITS, reservedTokens) };
}

function queued(...tickets: Ticket[]): Schedule {
  return tickets.reduce<Schedule>((schedule, one) => {
    const next = enqueue(schedule, one, LIMITS);
    if (next === null) throw new Error(`no room for ticket ${one.id}`);
    return next;
  }, EMPTY_SCHEDULE);
}

/** Starts all that may start; their prompts are then read at once where `read` says so. */
function started(schedule: Schedule, read = true): { schedule: Schedule; ids: number[] } {
  const ids: number[] = [];
  let now = schedule;
  for (;;) {
    const next = startNext(now, LIMITS, ready);
    if (next === null) return { schedule: now, ids };
    ids.push(next.started.id);
    now = read ? prefillDone(next.schedule) : next.schedule;
  }
}

describe('the line', () => {
  test('is first come, first served for one user', () => {
    const { ids } = started(queued(ticket(1, 'a'), ticket(2, 'a'), ticket(3, 'a')));
    expect(ids).toEqual([1, 2, 3]);
  });

  test('lets a newcomer pass a flood that came before', () => {
    const flood = [1, 2, 3, 4, 5, 6].map((id) => ticket(id, 'flood'));
    let { schedule } = started(queued(...flood.slice(0, 2)), false);
    for (const one of flood.slice(2)) schedule = enqueue(schedule, one, LIMITS) ?? schedule;
    schedule = enqueue(schedule, ticket(7, 'newcomer'), LIMITS) ?? schedule;
    expect(started(schedule, false).ids).toEqual([7]);
  });

  test('counts a long request as more than a short one', () => {
    const schedule = queued(
      ticket(1, 'long', 512),
      ticket(2, 'long', 512),
      ticket(3, 'short', 64),
      ticket(4, 'short', 64),
      ticket(5, 'short', 64),
    );
    expect(started(schedule).ids).toEqual([1, 3, 4]);
  });

  test('is bounded, for all and for each user', () => {
    const full = queued(...[1, 2, 3, 4, 5, 6].map((id) => ticket(id, 'a')));
    expect(enqueue(full, ticket(7, 'a'), LIMITS)).toBeNull();
    const fuller = [7, 8, 9, 10, 11, 12].reduce(
      (schedule, id) => enqueue(schedule, ticket(id, 'b'), LIMITS) ?? schedule,
      full,
    );
    expect(fuller.waiting).toHaveLength(12);
    expect(enqueue(fuller, ticket(13, 'c'), LIMITS)).toBeNull();
  });

  test('passes over tickets whose adapter is still on its way', () => {
    const schedule = queued(ticket(1, 'a'), ticket(2, 'b'));
    expect(startNext(schedule, LIMITS, ({ id }) => id === 2)?.started.id).toBe(2);
  });
});

describe('room', () => {
  test('is kept for the next newcomer', () => {
    const schedule = queued(...[1, 2, 3, 4, 5].map((id) => ticket(id, 'a')));
    // 8 rows shared by one user and the newcomer to come
    expect(started(schedule).ids).toEqual([1, 2, 3, 4]);
  });

  test('is the rows times the longest of them', () => {
    // 4 rows of 512 fill 2048, and so would 4 rows of 64 beside one of 512
    const schedule = queued(
      ...['a', 'b', 'c', 'd', 'e'].map((user, i) => ticket(i, user, i === 0 ? 512 : 64)),
    );
    expect(started(schedule).ids).toEqual([0, 1, 2, 3]);
  });

  test('that a long ticket waits for is not taken by short ones behind it', () => {
    const busy = started(
      queued(...['a', 'b', 'c', 'd', 'e'].map((user, i) => ticket(i, user, 64))),
    );
    let schedule = enqueue(busy.schedule, ticket(10, 'long', 512), LIMITS) ?? busy.schedule;
    schedule = enqueue(schedule, ticket(11, 'short', 64), LIMITS) ?? schedule;
    expect(startNext(schedule, LIMITS, ready)).toBeNull();
    const freed = remove(remove(schedule, 0), 1);
    expect(started(freed).ids).toEqual([10]);
  });

  test('of one length class is not that of another', () => {
    const long = started(queued(ticket(1, 'a', 1024))).schedule;
    const schedule = enqueue(long, ticket(2, 'b', 1024), LIMITS) ?? long;
    const both = enqueue(schedule, ticket(3, 'c', 64), LIMITS) ?? schedule;
    expect(started(both).ids).toEqual([3]);
  });
});

describe('prompts', () => {
  test('are read a chunk each in turn', () => {
    let { schedule } = started(queued(ticket(1, 'a'), ticket(2, 'b')), false);
    expect(nextPrefill(schedule)?.id).toBe(1);
    schedule = chunkDone(schedule);
    expect(nextPrefill(schedule)?.id).toBe(2);
    schedule = prefillDone(schedule);
    expect(nextPrefill(schedule)?.id).toBe(1);
    expect(schedule.decoding.map(({ id }) => id)).toEqual([2]);
  });

  test('are read one at a time for each user, in no more lanes than there are', () => {
    expect(started(queued(ticket(1, 'a'), ticket(2, 'a')), false).ids).toEqual([1]);
    const three = queued(ticket(1, 'a'), ticket(2, 'b'), ticket(3, 'c'));
    expect(started(three, false).ids).toEqual([1, 2]);
  });
});

test('a request longer than every class is refused', () => {
  expect(() => lengthClassOf(LIMITS, 1025)).toThrow('no length class holds 1025 tokens');
});

interface Action {
  readonly name: string;
  readonly user: string;
  readonly tokens: number;
  readonly pick: number;
}

/** What can happen to a schedule; `id` is new. */
const ACTIONS: Readonly<
  Record<string, (schedule: Schedule, action: Action, id: number) => Schedule>
> = {
  enqueue: (schedule, { user, tokens }, id) =>
    enqueue(schedule, ticket(id, user, tokens), LIMITS) ?? schedule,
  start: (schedule) => startNext(schedule, LIMITS, ready)?.schedule ?? schedule,
  chunk: (schedule) => chunkDone(schedule),
  read: (schedule) => prefillDone(schedule),
  end: (schedule, { pick }) => {
    const all = [...schedule.waiting, ...schedule.prefilling, ...schedule.decoding];
    return remove(schedule, all[pick]?.id ?? -1);
  },
};

const action: fc.Arbitrary<Action> = fc.record({
  name: fc.constantFrom(...Object.keys(ACTIONS), 'enqueue', 'start'),
  user: fc.constantFrom('a', 'b', 'c', 'd'),
  tokens: fc.integer({ min: 1, max: 16 }).map((n) => n * 64),
  pick: fc.nat(30),
});

function apply(schedule: Schedule, one: Action, id: number): Schedule {
  return ACTIONS[one.name]?.(schedule, one, id) ?? schedule;
}

/** What holds whatever happens. */
function expectSound(schedule: Schedule): void {
  const all = [...schedule.waiting, ...schedule.prefilling, ...schedule.decoding];
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
  expect(schedule.waiting.length).toBeLessThanOrEqual(LIMITS.maxWaiting);
  const tags = schedule.waiting.map(({ startTag }) => startTag);
  expect(tags).toEqual([...tags].sort((a, b) => a - b));
  const reading = schedule.prefilling.map(({ userId }) => userId);
  expect(new Set(reading).size).toBe(reading.length);
  for (const [index, { rows, capacityTokens, lanes }] of LIMITS.classes.entries()) {
    const inClass = (one: Ticket) => one.lengthClass === index;
    const active = [...schedule.prefilling, ...schedule.decoding].filter(inClass);
    const longest = Math.max(0, ...active.map((one) => one.reservedTokens));
    expect(active.length).toBeLessThanOrEqual(rows);
    expect(active.length * longest).toBeLessThanOrEqual(capacityTokens);
    expect(schedule.prefilling.filter(inClass).length).toBeLessThanOrEqual(lanes);
  }
}

test('no order of events breaks a limit, loses a ticket, or leaves one waiting for ever', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
      let schedule = EMPTY_SCHEDULE;
      for (const [id, one] of actions.entries()) {
        schedule = apply(schedule, one, id);
        expectSound(schedule);
      }
      // whatever is left gets its turn as soon as the others end
      for (let i = 0; i < 400 && schedule.waiting.length > 0; i += 1) {
        schedule = started(schedule).schedule;
        while (nextPrefill(schedule) !== null) schedule = prefillDone(schedule);
        const [first] = schedule.decoding;
        if (first !== undefined) schedule = remove(schedule, first.id);
      }
      expect(schedule.waiting).toEqual([]);
    }),
  );
});

test('a newcomer starts at once, whatever a flood of another user is doing', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const busy = actions
        .map((one) => ({ ...one, user: 'flood', tokens: Math.min(one.tokens, 512) }))
        .reduce(apply, EMPTY_SCHEDULE);
      const schedule = enqueue(busy, ticket(1000, 'newcomer', 64), LIMITS);
      expect(started(schedule ?? busy, false).ids).toContain(1000);
    }),
  );
});

test('users are forgotten once their last ticket is over', () => {
  let schedule = EMPTY_SCHEDULE;
  for (let id = 0; id < 200; id += 1) {
    schedule = enqueue(schedule, ticket(id, `user ${id}`), LIMITS) ?? schedule;
    schedule = remove(started(schedule).schedule, id);
  }
  expect(schedule.userEnds.size).toBeLessThan(3);
});
