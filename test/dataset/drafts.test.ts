import { expect, test } from 'vitest';
import { loadDataset } from '../../src/dataset/load-dataset.ts';
import { must } from '../../src/lib/errors.ts';
import type { Mode, ModeCatalog } from '../../src/modes/mode.ts';
import { sampleContact, sampleReply } from '../support/mailbox.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { loadShippedModes, type TestChange } from '../support/test-user.ts';
import { World } from '../support/world.ts';

const shipped = await loadShippedModes();
const subject = shipped.mode('subject');
const mode = { ...subject, preferences: { ...subject.preferences, drafts: true } };
const catalogOf = (one: Mode): ModeCatalog => ({
  ...{ ...shipped, modes: [one], mode: () => one, modesOf: () => [one] },
});
const catalog = catalogOf(mode);
const BODY = 'The plumber comes on Friday at nine.';
const mail = (about: string): TestChange => ({
  ...{ source: 'mail.sent', recordId: 'm1' },
  data: { to: [], subject: about, body: BODY },
});

describeEachDatabase('in a mode that learns from drafts', (database) => {
  async function setUp() {
    const world = await World.open(database(), catalog);
    const pairs = async () => {
      const row = await world.fold(mode);
      const { preferences } = must(await loadDataset(world.db, mode, row), 'just folded');
      return preferences.map(({ chosen, rejected }) => [chosen, rejected]);
    };
    return { world, pairs };
  }

  test('what was sent is preferred to every draft of it, until it is written over', async () => {
    const { world, pairs } = await setUp();
    await world.answer('subject', { body: BODY }, 'A draft');
    await world.answer('subject', { body: ` ${BODY} ` }, 'Plumber on Friday');
    await world.answer('subject', { body: 'Something else.' }, 'Another');
    expect(await pairs()).toEqual([]);
    await world.user.push(mail('Plumber on Friday'));
    expect(await pairs()).toEqual([['Plumber on Friday', 'A draft']]);
    expect(await pairs()).toEqual([['Plumber on Friday', 'A draft']]);
    await world.user.push(mail('Friday'));
    expect((await pairs()).sort()).toEqual([
      ['Friday', 'A draft'],
      ['Friday', 'Plumber on Friday'],
    ]);
  });

  test('the pair is in the part that its mail is in, which measures or is learnt from', async () => {
    const parts = new Set<string>();
    for (const recordId of ['mail-01', 'mail-06', 'mail-07']) {
      const world = await World.open(database(), catalog);
      await world.answer('subject', { body: ` ${BODY} ` }, 'A draft');
      await world.user.push({ ...mail('Plumber on Friday'), recordId });
      const row = await world.fold(mode);
      const { examples, preferences } = must(await loadDataset(world.db, mode, row), 'folded');
      expect(preferences.map(({ split }) => split)).toEqual(examples.map(({ split }) => split));
      for (const { split } of preferences) parts.add(split);
    }
    expect([...parts]).toEqual(['train', 'validation', 'holdout']);
  });

  test('and so it is where the prompt of the answer is another than the mail’s', async () => {
    const drafted: Mode = { ...shipped.mode('reply'), preferences: mode.preferences };
    const world = await World.open(database(), catalogOf(drafted));
    // mail-07 is held out; its prompt is cut, and shows a contact that was not there when the answer was given
    const long = { ...sampleReply('mail-07', 'ann@example.org') };
    const data = long.data as { inReplyTo: { from: string; subject: string; body: string } };
    const inReplyTo = { ...data.inReplyTo, body: 'word '.repeat(1_000) };
    await world.answer('reply', inReplyTo, 'A draft');
    await world.user.push({ ...long, data: { ...data, inReplyTo } });
    await world.user.push(sampleContact('c1', 'ann@example.org'));
    const set = await loadDataset(world.db, drafted, await world.fold(drafted));
    const { examples, preferences } = must(set, 'just folded');
    expect(preferences.map(({ split }) => split)).toEqual(['holdout']);
    const [example, pair] = [examples[0], preferences[0]].map(
      (one) => one?.messages.at(-1)?.content,
    );
    expect(pair).not.toBe(example);
    expect(pair?.length).toBeLessThan(4_200);
  });

  test('a rating adds to what was sent, and does not take its place', async () => {
    const { world, pairs } = await setUp();
    const { id } = await world.answer('subject', { body: BODY }, 'A draft');
    await world.user.push(mail('Plumber on Friday'));
    await pairs();
    await world.rate(id, 'Plumber, at nine');
    expect((await pairs()).sort()).toEqual([
      ['Plumber on Friday', 'A draft'],
      ['Plumber, at nine', 'A draft'],
    ]);
  });

  test('the pair goes with the record, and so does an adapter that learnt from it', async () => {
    const { world, pairs } = await setUp();
    await world.answer('subject', { body: BODY }, 'A draft');
    await world.user.push(mail('Plumber on Friday'));
    const adapter = await world.train(mode);
    await world.user.push({ source: 'mail.sent', recordId: 'm1' });
    expect((await world.statuses()).get(adapter.id)).toBe('REVOKED');
    expect(await pairs()).toEqual([]);
  });
});
