import { expect, it } from 'vitest';
import { liveAdapter } from '../../src/adapters/registry.ts';
import { rateAnswer } from '../../src/answers/rate-answer.ts';
import type { AdapterRow } from '../../src/db/schema.ts';
import { storeCompletion } from '../../src/feedback/completions.ts';
import type { ModeCatalog } from '../../src/modes/mode.ts';
import { newTrainee } from '../adapters/fixture.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { loadShippedModes } from '../support/test-user.ts';

describeEachDatabase('rateAnswer', (database) => {
  /** Two versions whose answers were rated: the first one's all up, the second one's all down. */
  async function rateTwoVersions(catalog: ModeCatalog) {
    const { db, deps, userId, publish } = await newTrainee(database());
    const rate = async (adapter: AdapterRow, verdict: 'UP' | 'DOWN') => {
      const { id } = await storeCompletion(db, userId, {
        ...{ clientId: null, mode: 'subject', input: { body: 'x' }, text: 'an answer' },
        context: { values: {}, shown: [] },
        ...{ adapter, promptTokens: 1, completionTokens: 1, finishReason: 'STOP' },
        createdAt: new Date(),
      });
      return rateAnswer({ ...deps, catalog }, userId, { completionId: id, verdict });
    };
    const first = await publish('first');
    for (let i = 0; i < 12; i += 1) await rate(first, 'UP');
    const second = await publish('second');
    for (let i = 0; i < 8; i += 1) expect((await rate(second, 'DOWN')).verdict).toBe('DOWN');
    return { first, second, live: await liveAdapter(db, userId, 'subject') };
  }

  it('rolls a version back that is rated clearly worse than the one before it', async () => {
    const { first, live } = await rateTwoVersions(await loadShippedModes());
    expect(live).toMatchObject({ version: 3, origin: 'ROLLBACK', sha256: first.sha256 });
  });

  it('only rates where the mode does not want that', async () => {
    const catalog = await loadShippedModes();
    const unwatched = catalog.modes.map((mode) => ({
      ...mode,
      gate: { ...mode.gate, watchRatings: false },
    }));
    const { second, live } = await rateTwoVersions({ ...catalog, modes: unwatched });
    expect(live).toEqual(second);
  });
});
