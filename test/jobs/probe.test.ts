import { expect, test } from 'vitest';
import { openProbe } from '../../jobs/probe.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';

describeEachDatabase('the probe of the queue', (database) => {
  test('finds that what is put in comes out', async () => {
    const errors: unknown[] = [];
    const onError = (error: unknown) => errors.push(error);
    const probe = await openProbe({ database: database(), onError });
    await probe.roundTrip();
    await Promise.all([probe.roundTrip(), probe.roundTrip()]);
    await probe.close();
    expect(errors).toEqual([]);
  });
});
