// Many followers of many feeds at the same moment: each hears of its own user's events, and the database is asked once.

import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { feedTopic } from '../../src/lib/wakeups.ts';
import { followFeed } from '../../src/sync/follow-feed.ts';
import { newDataFolder } from '../support/servers/databases.ts';
import { newSubscriber } from './fixture.ts';

let dataDir = '';
let database: Database;
let count = 0;
beforeAll(async () => {
  dataDir = await newDataFolder();
  const onQuery = () => {
    count += 1;
  };
  database = await openDatabase({ dataDir, onQuery });
});
afterAll(async () => {
  await database.close();
  await rm(dataDir, { recursive: true });
});

const { signal } = new AbortController();

/** The versions that the followers hear of next. */
async function hear(followers: readonly ReturnType<typeof followFeed>[]) {
  const heard = await Promise.all(followers.map((each) => each.next()));
  return heard.map(({ value }) =>
    value?.kind === 'ready' ? [value.adapter.userId, value.adapter.version] : value,
  );
}

it('is one statement for all that look at once, whoever they follow and wherever they are', async () => {
  const users = [await newSubscriber(database), await newSubscriber(database)];
  const [{ deps }] = users as [(typeof users)[0]];
  for (const user of users) await user.publish('first');
  const followers = users.flatMap(({ userId }) =>
    [1, 2, 3].map(() => followFeed(deps, userId, null, signal)),
  );
  const expected = (version: number) =>
    users.flatMap(({ userId }) => [1, 2, 3].map(() => [userId, version]));
  const before = count;
  expect(await hear(followers)).toEqual(expected(1));
  expect(count - before).toBe(1);
  for (const user of users) await user.publish('second');
  for (const { userId } of users) deps.wakeups.wake(feedTopic(userId));
  // one more, from the beginning, where one event is left of two
  const late = followFeed(deps, users[0]?.userId ?? '', null, signal);
  const after = count;
  expect(await hear([...followers, late])).toEqual([...expected(2), [users[0]?.userId, 2]]);
  expect(count - after).toBe(1);
});

it('fails for a user whom there is not, and for nobody else', async () => {
  const user = await newSubscriber(database);
  await user.publish('only');
  const nobody = followFeed(user.deps, randomUUID(), null, signal).next();
  const followed = followFeed(user.deps, user.userId, null, signal).next();
  await expect(nobody).rejects.toThrow('there is no user');
  expect((await followed).value).toMatchObject({ kind: 'ready' });
});
