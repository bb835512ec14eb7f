// Which columns lie sealed, and how rows are sealed and opened. A sealed value names user, table, column and row, so that it
// opens nowhere else. docs/privacy.md says why the other columns lie open.

import type {
  Kysely,
  KyselyPlugin,
  PluginTransformResultArgs,
  QueryResult,
  RootOperationNode,
  UnknownRow,
} from 'kysely';
import type { Json } from '../lib/canonical-json.ts';
import type { ChatMessage } from '../lib/chat-message.ts';
import { must } from '../lib/errors.ts';
import type { UserKeys } from '../sealing/user-keys.ts';
import type { Vault } from '../sealing/vault.ts';

/** What became of each change of a push. */
export interface PushResults {
  /** The SHA-256 of each change's canonical JSON, one after the other, in base64: another payload under the same id is a
   *  conflict. Of what was pushed before answers lay sealed, keyed hashes (`UserKeys.tag`) of those. */
  readonly hashes: string;
  /** Why changes were rejected, by their places in the push. */
  readonly reasons: { readonly [place: number]: string };
}

/** What the sealed columns of each table open as. */
export interface SealedTexts {
  devices: { name: string };
  pushes: { results: PushResults };
  records: { data: Json };
  examples: { messages: readonly ChatMessage[]; target: string };
  completions: { input: Json; context: Json; text: string; better: string };
  preferences: { input: Json; context: Json; chosen: string; rejected: string };
}

/** A table with sealed columns. */
export type SealedTable = keyof SealedTexts;

/** The sealed columns of a table, and the columns that name a row of it. */
export interface SealedColumns<Name extends string = string> {
  readonly columns: readonly Name[];
  readonly rowName: readonly string[];
}

/** The sealed columns, and the columns that name a row before the database has numbered it. */
export const SEALED_TABLES: {
  readonly [T in SealedTable]: SealedColumns<keyof SealedTexts[T] & string>;
} = {
  devices: { columns: ['name'], rowName: ['deviceId'] },
  pushes: { columns: ['results'], rowName: ['deviceId', 'firstMutationId'] },
  records: { columns: ['data'], rowName: ['source', 'recordId'] },
  examples: { columns: ['messages', 'target'], rowName: ['id'] },
  completions: { columns: ['input', 'context', 'text', 'better'], rowName: ['id'] },
  preferences: { columns: ['input', 'context', 'chosen', 'rejected'], rowName: ['id'] },
};

/** A row whose sealed columns are open. */
export type Opened<T extends SealedTable, Row> = {
  readonly [C in keyof Row]: C extends keyof SealedTexts[T]
    ? SealedTexts[T][C] | Extract<Row[C], null>
    : Row[C];
};

/** A row as it is written. */
export type Sealed<T extends SealedTable, Row> = {
  readonly [C in keyof Row]: C extends keyof SealedTexts[T]
    ? Uint8Array | Extract<Row[C], null | undefined>
    : Row[C];
};

/** A database or a transaction, of which only the vault is asked for. */
type Vaulted = Pick<Kysely<unknown>, 'getExecutor'>;

/** Seals those columns of a row that lie sealed. The row must have the columns that name it. */
export function sealRow<T extends SealedTable, Row extends object>(
  keys: UserKeys,
  table: T,
  row: Row,
): Sealed<T, Row> {
  const seal = (place: string, value: unknown) => keys.seal(place, value as Json);
  return mapSealed(table, SEALED_TABLES[table], row, seal) as Sealed<T, Row>;
}

/** Opens the sealed columns of rows. The rows must have the columns that name them. Throws UnsealError. */
export function openRowsWith<T extends SealedTable, Row extends object>(
  keys: UserKeys,
  table: T,
  rows: readonly Row[],
): Opened<T, Row>[] {
  const open = (place: string, sealed: unknown) => keys.open(place, sealed as Uint8Array);
  const names = SEALED_TABLES[table];
  return rows.map((row) => mapSealed(table, names, row, open) as Opened<T, Row>);
}

/** As openRowsWith, with the user's keys of this database. */
export async function openRows<T extends SealedTable, Row extends object>(
  db: Vaulted,
  table: T,
  userId: string,
  rows: readonly Row[],
): Promise<Opened<T, Row>[]> {
  return rows.length === 0 ? [] : openRowsWith(await keysOf(db, userId), table, rows);
}

/** As openRows, for one row that may be missing. */
export async function openRow<T extends SealedTable, Row extends object>(
  db: Vaulted,
  table: T,
  userId: string,
  row: Row | undefined,
): Promise<Opened<T, Row> | undefined> {
  return row && (await openRows(db, table, userId, [row]))[0];
}

/** The row with its sealed columns mapped; the others stay. For migrations, whose tables may be gone by now. */
export function mapSealed(
  table: string,
  { columns, rowName }: SealedColumns,
  row: object,
  map: (place: string, value: unknown) => unknown,
): object {
  const values: Record<string, unknown> = { ...row };
  const name = JSON.stringify(
    rowName.map((column) => must(values[column], `a row of ${table} with its ${column}`)),
  );
  for (const column of columns) {
    const value = values[column];
    if (value !== null && value !== undefined)
      values[column] = map(`${table}.${column} ${name}`, value);
  }
  return values;
}

/** The keys of a user of this database. Throws when the user has none: erased, or of another keys folder. */
export function keysOf(db: Vaulted, userId: string): Promise<UserKeys> {
  return vaultOf(db).keysOf(userId);
}

/** The vault that the database was opened with; a transaction has its database's. */
export function vaultOf(db: Vaulted): Vault {
  const plugin = db.getExecutor().plugins.find((one) => one instanceof VaultPlugin);
  return must(plugin, 'the database was opened with a vault').vault;
}

/** Carries the vault wherever the database goes; changes no query. */
export class VaultPlugin implements KyselyPlugin {
  readonly vault: Vault;

  constructor(vault: Vault) {
    this.vault = vault;
  }

  transformQuery({ node }: { node: RootOperationNode }): RootOperationNode {
    return node;
  }

  transformResult({ result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
    return Promise.resolve(result);
  }
}
