import { expect, test } from 'vitest';
import { splitOfInput } from '../../src/dataset/core/split.ts';
import { suffices } from '../../src/dataset/decide-run.ts';
import { loadDataset } from '../../src/dataset/load-dataset.ts';
import type { RatingInput } from '../../src/feedback/rate-completion.ts';
import { must } from '../../src/lib/errors.ts';
import type { Mode, ModeCatalog } from '../../src/modes/mode.ts';
import { inputKey } from '../../src/modes/prompt.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { loadShippedModes } from '../support/test-user.ts';
import { World } from '../support/world.ts';

const shipped = await loadShippedModes();
const writing: Mode = { ...shipped.mode('subject'), objective: 'SFT' };
const judging: Mode = { ...writing, objective: 'DPO' };
const ONE_HELD_OUT = { objective: judging.objective, minHoldout: 1 };
const catalogOf = (mode: Mode): ModeCatalog => ({
  ...{ ...shipped, modes: [mode], mode: () => mode, modesOf: () => [mode] },
});
const bodyIn = (part: string, from = 0): string => {
  const body = Array.from({ length: 1000 }, (_, i) => `mail ${from + i}`).find(
    (text) => splitOfInput(inputKey({ body: text })) === part,
  );
  return must(body, `a mail in ${part}`);
};

describeEachDatabase('a thumb without another answer', (database) => {
  async function setUp(mode: Mode = judging) {
    const world = await World.open(database(), catalogOf(mode));
    const answer = (body: string, text: string) => world.answer('subject', { body }, text);
    const thumb = async (body: string, text: string, verdict: RatingInput['verdict']) => {
      const { id } = await answer(body, text);
      await world.say({ completionId: id, verdict });
      return id;
    };
    const learnt = async (as: Mode = mode) => {
      const folded = await world.fold(as);
      const set = must(await loadDataset(world.db, as, folded), 'just folded');
      const thumbs = set.thumbs.map(({ answer: text, isGood }) => `${isGood ? '+' : '-'}${text}`);
      expect(folded.preferenceCount).toBe(set.thumbs.length + set.preferences.length);
      return {
        thumbs: thumbs.sort(),
        pairs: set.preferences.length,
        isEnough: suffices(set, ONE_HELD_OUT),
      };
    };
    return { world, answer, thumb, learnt };
  }

  test('is learnt from in a mode of preferences; an answer without a rating is not', async () => {
    const { answer, thumb, learnt } = await setUp();
    await answer('one', 'never rated');
    expect(await learnt()).toMatchObject({ thumbs: [], pairs: 0 });
    await thumb('one', 'liked', 'UP');
    await thumb('two', 'disliked', 'DOWN');
    expect(await learnt()).toMatchObject({ thumbs: ['+liked', '-disliked'], pairs: 0 });
  });

  test('becomes a pair once the other side is known, and alone again when that is taken back', async () => {
    const { world, thumb, learnt } = await setUp();
    await thumb('one', 'bad', 'DOWN');
    const id = await thumb('one', 'good', 'UP');
    expect(await learnt()).toMatchObject({ thumbs: [], pairs: 1 });
    await world.say({ completionId: id, verdict: 'DOWN' });
    expect(await learnt()).toMatchObject({ thumbs: ['-bad', '-good'], pairs: 0 });
  });

  test('is left out where a mode only writes, or says so, and counts once it says otherwise', async () => {
    const { thumb, learnt } = await setUp(writing);
    await thumb('one', 'liked', 'UP');
    expect((await learnt()).thumbs).toEqual([]);
    const without = { ...judging, preferences: { ...judging.preferences, thumbs: false } };
    expect((await learnt(without)).thumbs).toEqual([]);
    expect((await learnt(judging)).thumbs).toEqual(['+liked']);
    expect((await learnt(without)).thumbs).toEqual([]);
  });

  test('held out counts together with one of the other kind', async () => {
    const { thumb, learnt } = await setUp();
    await thumb(bodyIn('train'), 'taught', 'UP');
    await thumb(bodyIn('holdout'), 'a', 'UP');
    await thumb(bodyIn('holdout', 500), 'b', 'UP');
    expect((await learnt()).isEnough).toBe(false);
    await thumb(bodyIn('holdout', 1500), 'c', 'DOWN');
    expect((await learnt()).isEnough).toBe(true);
  });

  test('goes with the record that its answer was about', async () => {
    const { world, thumb, learnt } = await setUp();
    const mail = { source: 'mail.sent', recordId: 'm1' };
    await world.user.push({ ...mail, data: { to: [], subject: 's', body: 'one' } });
    await thumb('one', 'liked', 'UP');
    const adapter = await world.train(judging);
    await world.user.push(mail);
    expect((await learnt()).thumbs).toEqual([]);
    expect((await world.statuses()).get(adapter.id)).toBe('REVOKED');
  });
});
