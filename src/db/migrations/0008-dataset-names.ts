import { type Kysely, sql } from 'kysely';

/** A dataset is named by a tree of hashes, whose buckets are kept, instead of by the list of all its hashes. Those whose content is
 *  still known are given their new names, so that nothing is trained again for its name; of the others something was erased, and
 *  no dataset to come can equal them. */
export const datasetNames = {
  up: async (db: Kysely<unknown>): Promise<void> => {
    await sql.raw(TABLES).execute(db);
    await sql.raw(RENAME).execute(db);
  },
};

const TABLES = `
  create table example_buckets (
    user_id uuid not null references users,
    mode text not null,
    bucket text not null,
    sha256 text not null,
    train integer not null,
    validation integer not null,
    holdout integer not null,
    primary key (user_id, mode, bucket)
  );
  create index examples_by_bucket on examples (user_id, mode, left(sha256, 2)) where until_seq is null;
`;

const sha256Of = (text: string) =>
  `encode(sha256(convert_to(coalesce(${text}, ''), 'UTF8')), 'hex')`;

/** The hashes of one list of the dataset d, as rows of one column. */
const hashesOf = (table: string, fromSeq: string) => `
  select sha256 from ${table} as part where part.user_id = d.user_id and part.mode = d.mode
    and part.${fromSeq} <= d.change_seq and d.change_seq < coalesce(part.until_seq, d.change_seq + 1)`;

const sortedOf = (hashes: string) => `
  (select coalesce(string_agg(sha256, E'\\n' order by sha256 collate "C"), '') from (${hashes}) as old)`;

const treeOf = (hashes: string) => `
  (select ${sha256Of(`string_agg(bucket || ' ' || digest, E'\\n' order by bucket collate "C")`)} from (
    select left(sha256, 2) as bucket, ${sha256Of(`string_agg(sha256, E'\\n' order by sha256 collate "C")`)} as digest
    from (${hashes}) as new group by 1) as buckets)`;

const EXAMPLES = hashesOf('examples', 'from_seq');
const PREFERENCES = hashesOf('preferences', 'change_seq');

const RENAME = `
  update datasets as d set sha256 = ${sha256Of(`${treeOf(EXAMPLES)} || E'\\n' || ${treeOf(PREFERENCES)}`)}
  where sha256 = ${sha256Of(`${sortedOf(EXAMPLES)} || E'\\n\\n' || ${sortedOf(PREFERENCES)}`)};
`;
