// The feed of docs/protocol.md for one user, in memory: what happened to which adapter, trimmed after the lease.

import { must } from '../../../src/lib/errors.ts';
import type { FeedAnswer, FeedStep } from '../../../src/sync/protocol.ts';
import { feedChecksum } from '../../../src/sync/protocol-checksum.ts';
import type { OracleAdapter, OracleDevice } from './oracle-files.ts';

/** Events in a page: few, so that there are many pages. */
const PAGE_EVENTS = 2;

/** As long as the server's. */
export const LEASE_MS = 90 * 24 * 3600 * 1000;

interface OracleEvent {
  readonly seq: number;
  readonly at: number;
  readonly kind: 'READY' | 'REVOKED';
  readonly adapter: OracleAdapter;
}

/** What an oracle's feed reads besides its own events. */
interface Surroundings {
  readonly devices: ReadonlyMap<string, OracleDevice>;
  now(): number;
  checksum(): string;
}

export class OracleFeed {
  readonly #around: Surroundings;
  #events: OracleEvent[] = [];
  #last = 0;
  #floor = 0;
  #epoch = 1;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  append(kind: OracleEvent['kind'], adapter: OracleAdapter): void {
    const at = this.#around.now();
    this.#last += 1;
    this.#events.push({ seq: this.#last, at, kind, adapter });
    const trimmed = this.#events.filter(
      (event) => event.at <= at - LEASE_MS && !this.#stillMatters(event),
    );
    this.#floor = Math.max(this.#floor, ...trimmed.map(({ seq }) => seq));
    this.#events = this.#events.filter((event) => !trimmed.includes(event));
  }

  /** No cursor of before leads anywhere. */
  beginEpoch(): void {
    this.#epoch += 1;
  }

  page(after: string | null): FeedAnswer {
    const [epoch, seq = 0, fresh = 0] = (after ?? `${this.#epoch}:0:${this.#last}`)
      .split(':')
      .map(Number);
    if (epoch !== this.#epoch) return resync('NEW_EPOCH');
    if (Math.max(seq, fresh) < this.#floor) return resync('EXPIRED');
    const later = this.#events
      .filter((event) => event.seq > seq)
      .filter((event) => event.seq > fresh || this.#stillMatters(event));
    const shown = later.slice(0, PAGE_EVENTS);
    const hasMore = later.length > shown.length;
    const at = (place: number) => `${epoch}:${place}:${fresh}`;
    return {
      __typename: 'AdapterFeedPage',
      cursor: at(hasMore ? must(shown.at(-1), 'a page has events').seq : this.#last),
      hasMore,
      checksum: hasMore ? null : this.#around.checksum(),
      events: shown.map((event) => toStep(event, at(event.seq))),
    };
  }

  #stillMatters({ kind, adapter }: OracleEvent): boolean {
    if (kind === 'READY') return adapter.status === 'LIVE';
    const lost = this.#around.now() - LEASE_MS;
    return [...this.#around.devices.values()].some(
      ({ held, seenAt }) => seenAt > lost && [...held.values()].includes(adapter.id),
    );
  }
}

/** What a device that is up to date has. */
export function checksumOfLive(adapters: readonly OracleAdapter[]): string {
  const live = adapters.filter(({ status, origin }) => status === 'LIVE' && origin !== 'SHIPPED');
  return feedChecksum(live.map(({ mode, id }) => [mode.key, id]));
}

function resync(code: string): FeedAnswer {
  return { __typename: 'ResyncRequired', code, reason: code };
}

function toStep({ kind, adapter }: OracleEvent, cursor: string): FeedStep {
  if (kind === 'READY') return { __typename: 'AdapterReady', cursor, adapter };
  const what = { adapterId: adapter.id, modeKey: adapter.mode.key, reason: 'DATA_DELETED' };
  return { __typename: 'AdapterRevoked', cursor, ...what };
}
