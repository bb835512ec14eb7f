// What a delete takes of states that its record had before: those that were written over, whether or not a fold saw them.

import { beforeAll, expect, it } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import type { Mode, ModeCatalog } from '../../src/modes/mode.ts';
import { sampleMail } from '../support/mailbox.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { loadShippedModes, type TestChange } from '../support/test-user.ts';
import { World } from '../support/world.ts';

let catalog: ModeCatalog;
beforeAll(async () => {
  catalog = await loadShippedModes();
});

const DELETE: TestChange = { source: 'mail.sent', recordId: 'm1' };
const FIRST = sampleMail('m1', 'first');
const NO_SUBJECT: TestChange = { ...FIRST, data: { ...(FIRST.data as object), subject: '' } };
const [SECOND, THIRD] = [sampleMail('m1', 'second'), sampleMail('m1', 'third')];

/** What happens to a record of which one state is rated: pushes, folds, and the rating of an answer to its first state. */
type Life = readonly (readonly TestChange[] | 'fold' | 'rate')[];

const LIVES: readonly [string, Life][] = [
  ['was written over before any fold', [[FIRST], 'rate', [SECOND], [DELETE]]],
  ['came in one push with the next one', ['rate', [FIRST, SECOND], [DELETE]]],
  ['came in one push with the delete', ['rate', [FIRST, DELETE]]],
  ['came in one push with the delete and with what followed it', ['rate', [FIRST, DELETE, SECOND]]],
  ['followed a delete in one push', [[SECOND, DELETE, FIRST, THIRD], 'rate', [DELETE]]],
  ['had no target', [[NO_SUBJECT], 'rate', [SECOND], [DELETE]]],
  ['has no target', [[NO_SUBJECT], 'rate', [DELETE]]],
  ['was folded', [[FIRST], 'rate', 'fold', [SECOND], 'fold', [THIRD], [DELETE]]],
  ['was written over before it was rated', [[FIRST], [SECOND], 'fold', 'rate', [DELETE]]],
  ['was written over twice', [[FIRST], 'rate', [SECOND], [THIRD], 'fold', [DELETE]]],
  ['came back', [[FIRST], [DELETE], [FIRST], 'rate', [SECOND], [DELETE]]],
];

/** Answers the mail and rates the answer; returns the completion's id. */
async function rate(world: World, { data }: TestChange, text: string): Promise<string> {
  const { body } = data as { body: string };
  const { id } = await world.answer('subject', { body }, text);
  await world.rate(id, `${text} too`);
  return id;
}

async function liveThrough(world: World, life: Life): Promise<string> {
  let rated = '';
  for (const step of life) {
    if (step === 'fold') await world.fold(catalog.mode('subject'));
    else if (step === 'rate') rated = await rate(world, FIRST, 'SECRET');
    else await world.user.push(...step);
  }
  return rated;
}

async function pastInputsOf({ db, user }: World): Promise<readonly string[]> {
  const rows = db.selectFrom('pastInputs').select('recordId').where('userId', '=', user.id);
  return (await rows.execute()).map(({ recordId }) => recordId);
}

/** The mode with rules that make the same input of every mail. */
function withInput(mode: Mode, input: Readonly<Record<string, string>>): Mode {
  const fields = Object.entries(input).map(([name, text]) => [name, { render: () => text }]);
  const examples = [...mode.examples].map(([source, rules]) => {
    const remade = rules.map((rule) => ({ ...rule, input: Object.fromEntries(fields) }));
    return [source, remade] as const;
  });
  return { ...mode, examples: new Map(examples), shapeSha256: 'of earlier rules' };
}

describeEachDatabase('forgetRecords', (database: () => Database) => {
  it.each(LIVES)('erases the rating of an answer to a state that %s', async (_, life) => {
    const world = await World.open(database(), catalog);
    const rated = await liveThrough(world, life);
    expect(await world.preferenceCount('subject')).toBe(0);
    expect(await world.dump()).not.toContain('SECRET');
    await expect(world.rate(rated, 'again')).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await pastInputsOf(world)).toEqual([]);
  });

  it('leaves the ratings of other records and of other modes, whose states were written over too', async () => {
    const world = await World.open(database(), catalog);
    const other = sampleMail('m2', 'another');
    await world.user.push(FIRST, other);
    await rate(world, other, 'dull');
    const { id } = await world.answer('continue', { text: 'the first words' }, 'of a mail');
    await world.rate(id, 'of a letter');
    await world.user.push(SECOND, sampleMail('m2', 'newer'));
    await world.user.push(DELETE);
    expect(await world.preferenceCount('subject')).toBe(1);
    expect(await world.preferenceCount('continue')).toBe(1);
    expect(new Set(await pastInputsOf(world))).toEqual(new Set(['m2']));
    await world.user.push({ source: 'mail.sent', recordId: 'm2' });
    expect(await world.preferenceCount('subject')).toBe(0);
  });

  it('erases the ratings of an input that earlier rules of the mode made, in a fold that named no dataset', async () => {
    const world = await World.open(database(), catalog);
    const subject = catalog.mode('subject');
    const body = 'as earlier rules had it';
    await world.user.push(FIRST);
    const { id } = await world.answer('subject', { body }, 'SECRET');
    await world.rate(id, 'SECRET too');
    await world.fold(withInput(subject, { body }));
    await world.db.deleteFrom('datasets').where('userId', '=', world.user.id).execute();
    await world.fold(subject);
    await world.user.push(DELETE);
    expect(await world.preferenceCount('subject')).toBe(0);
    expect(await world.dump()).not.toContain('SECRET');
  });

  it('revokes the adapter that learnt a rating of a state that no fold ever saw', async () => {
    const world = await World.open(database(), catalog);
    const subject = catalog.mode('subject');
    await world.user.push(FIRST, sampleMail('m2', 'other'));
    const before = await world.train(subject);
    await rate(world, SECOND, 'dull');
    await world.user.push(SECOND);
    await world.user.push(sampleMail('m1', ''));
    const adapter = await world.train(subject);
    await world.user.push(DELETE);
    const statuses = await world.statuses();
    expect([before, adapter].map(({ id }) => statuses.get(id))).toEqual(['REVOKED', 'REVOKED']);
  });
});
