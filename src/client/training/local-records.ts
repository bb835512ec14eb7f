// The records that this device learns from by itself, as they are now. Those of a mode that only devices train are nowhere
// else.

import type { LiveRecord } from '../../changes/core/find-records.ts';
import type { RecordRef } from '../../changes/core/record-ref.ts';
import type { ModeDefinition } from '../../modes/definition.ts';
import type { ChangeMessage } from '../../sync/protocol.ts';
import type { DeviceStorage, Write } from '../storage/storage.ts';

const RECORDS = 'record/';
const THROUGH = 'changeSeq';

/** Who learns from a source: nobody here; this device too; or this device alone, and its records are never sent. */
export type SourceUse = 'sent' | 'both' | 'kept';

/** What the modes make of a source. */
export function useOf(modes: readonly ModeDefinition[], source: string): SourceUse {
  const uses = modes.flatMap(({ training }) =>
    training?.sources.includes(source) ? [training.where] : [],
  );
  if (uses.includes('device')) return 'kept';
  return uses.includes('both') ? 'both' : 'sent';
}

/** The durable records of a device that trains. */
export class LocalRecords {
  readonly #storage: DeviceStorage;

  constructor(storage: DeviceStorage) {
    this.#storage = storage;
  }

  /** The writes that take a change up. */
  writesOf({ source, recordId, kind, data }: ChangeMessage): readonly Write[] {
    const key = keyOf(source, recordId);
    return [[key, kind === 'DELETE' ? undefined : { source, recordId, data: data ?? null }]];
  }

  /** Which of the changes are for the server, and the writes that take up those to learn from. */
  sort(
    changes: readonly ChangeMessage[],
    modes: readonly ModeDefinition[],
  ): { readonly sent: readonly ChangeMessage[]; readonly writes: readonly Write[] } {
    const used = changes.map((change) => ({ change, use: useOf(modes, change.source) }));
    return {
      sent: used.flatMap(({ change, use }) => (use === 'kept' ? [] : [change])),
      writes: used.flatMap(({ change, use }) => (use === 'sent' ? [] : this.writesOf(change))),
    };
  }

  /** All records of the sources. */
  async read(sources: readonly string[]): Promise<readonly LiveRecord[]> {
    const lists = await Promise.all(sources.map((source) => this.#storage.list(keyOf(source, ''))));
    return lists.flat().map(([, record]) => record as unknown as LiveRecord);
  }

  /** Whether every record of these names (recordName) is still there. */
  async haveAll(names: readonly string[]): Promise<boolean> {
    const kept = new Set((await this.#storage.list(RECORDS)).map(([key]) => key));
    return names.every((name) => kept.has(RECORDS + name));
  }

  /** The server has given changes of this device places up to here in the user's order. */
  async noteThrough(changeSeq: number): Promise<void> {
    if (changeSeq > (await this.through())) await this.#storage.write([[THROUGH, changeSeq]]);
  }

  async through(): Promise<number> {
    return Number((await this.#storage.get(THROUGH)) ?? 0);
  }
}

/** What a record is called on this device. No source has a slash in its name. */
export function recordName({ source, recordId }: RecordRef): string {
  return `${source}/${recordId}`;
}

function keyOf(source: string, recordId: string): string {
  return RECORDS + recordName({ source, recordId });
}
