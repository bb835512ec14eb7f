import { randomUUID } from 'node:crypto';
import { publishAdapter } from '../../src/adapters/publish.ts';
import { liveAdapter } from '../../src/adapters/registry.ts';
import type { AdapterStore } from '../../src/adapters/store.ts';
import { contextOf } from '../../src/changes/context.ts';
import type { PromptContext } from '../../src/changes/core/find-records.ts';
import { foldDataset } from '../../src/dataset/fold-dataset.ts';
import { forgetRecords } from '../../src/dataset/forget-records.ts';
import { noteStates } from '../../src/dataset/past-inputs.ts';
import type { Database } from '../../src/db/database.ts';
import type { AdapterRow, DatasetRow } from '../../src/db/schema.ts';
import { openRows } from '../../src/db/sealed-columns.ts';
import { storeCompletion } from '../../src/feedback/completions.ts';
import { type RatingInput, rateCompletion } from '../../src/feedback/rate-completion.ts';
import type { Json } from '../../src/lib/canonical-json.ts';
import { openLocalWakeups } from '../../src/lib/wakeups.ts';
import type { Mode, ModeCatalog } from '../../src/modes/mode.ts';
import { nameDataset } from '../../src/runs/run.ts';
import { LINEAGE } from '../adapters/fixture.ts';
import { type Forgetting, NOW, newTestUser, STOPPED, type TestUser } from './test-user.ts';

const wakeups = openLocalWakeups();
/** Rolling back asks only whether the bytes are still there. */
const store = { isIntact: () => Promise.resolve(true) } as unknown as AdapterStore;

/** As a server forgets. */
export function forgettingWith(catalog: ModeCatalog): Forgetting {
  return {
    onOverwrite: noteStates.bind(null, catalog),
    onDelete: forgetRecords.bind(null, { catalog, clock: STOPPED }),
  };
}

/** A user whose deletes forget, and what a worker would do for them. */
export class World {
  readonly #database: Database;
  readonly user: TestUser;
  readonly #catalog: ModeCatalog;

  constructor(database: Database, user: TestUser, catalog: ModeCatalog) {
    this.#database = database;
    this.user = user;
    this.#catalog = catalog;
  }

  static async open(database: Database, catalog: ModeCatalog): Promise<World> {
    const user = await newTestUser(database.kysely, catalog, forgettingWith(catalog));
    return new World(database, user, catalog);
  }

  get db() {
    return this.#database.kysely;
  }

  get registry() {
    return { db: this.db, wakeups, clock: STOPPED, store };
  }

  fold(mode: Mode): Promise<DatasetRow> {
    return foldDataset(this.db, this.user.id, mode, NOW);
  }

  /** Folds and publishes an adapter of the dataset, as a run does; a warm one began from the live adapter. */
  async train(mode: Mode, { isWarm = false } = {}): Promise<AdapterRow> {
    const claim = await this.startRun(mode);
    const row = await this.fold(mode);
    await nameDataset(this.db, { ...claim, forced: false }, row.id);
    const live = await liveAdapter(this.db, this.user.id, mode.key);
    return publishAdapter(this.registry, claim, {
      ...{ sha256: randomUUID(), files: [], rank: 8, baseSha256: 'base', datasetId: row.id },
      ...{ dataThrough: row.changeSeq, parentId: live?.id ?? null, onPolicyShare: null },
      ...{ startedFromId: isWarm ? (live?.id ?? null) : null, lineage: LINEAGE },
      evaluation: {
        ...{ holdoutExamples: 8, loss: 1, baseLoss: 2, previousLoss: null, passed: true },
        ...{ preferenceAccuracy: null, ...{ probeLoss: null, baseProbeLoss: null }, reason: '' },
      },
    });
  }

  async startRun(mode: Mode) {
    const row = {
      ...{ userId: this.user.id, mode: mode.key, status: 'RUNNING' as const, forced: false },
      ...{ attempt: 1, losses: '[]', queuedAt: NOW },
    };
    const insert = this.db.insertInto('runs').values(row).returning('id');
    const { id: runId } = await insert.executeTakeFirstOrThrow();
    return { runId, attempt: 1, userId: this.user.id, mode: mode.key };
  }

  async statuses(): Promise<ReadonlyMap<string, AdapterRow['status']>> {
    const rows = await this.db
      .selectFrom('adapters')
      .select(['id', 'status'])
      .where('userId', '=', this.user.id)
      .execute();
    return new Map(rows.map(({ id, status }) => [id, status]));
  }

  /** By default it shows what the mode looks up, and the bare base gave it. */
  async answer(
    mode: string,
    input: Json,
    text: string,
    given: { readonly context?: PromptContext; readonly adapter?: AdapterRow | null } = {},
  ) {
    const { adapter = null } = given;
    const definition = this.#catalog.mode(mode);
    const context = given.context ?? (await contextOf(this.db, this.user.id, definition, input));
    return storeCompletion(this.db, this.user.id, {
      ...{ clientId: null, mode, input, text, context, adapter, finishReason: 'STOP' },
      ...{ promptTokens: 1, completionTokens: 1, createdAt: NOW },
    });
  }

  rate(completionId: string, better: string) {
    return this.say({ completionId, better });
  }

  say(rating: RatingInput) {
    return rateCompletion({ ...this.registry, catalog: this.#catalog }, this.user.id, rating);
  }

  async preferenceCount(mode: string): Promise<number> {
    return (await this.fold(this.#catalog.mode(mode))).preferenceCount;
  }

  /** All that is stored of the user's texts. */
  async dump(): Promise<string> {
    const { db, user } = this;
    const tables = ['records', 'examples', 'completions', 'preferences'] as const;
    const rows = await Promise.all(
      tables.map(async (table) => {
        const sealed = await db
          .selectFrom(table)
          .selectAll()
          .where('userId', '=', user.id)
          .execute();
        return openRows(db, table, user.id, sealed);
      }),
    );
    return JSON.stringify(rows);
  }
}
