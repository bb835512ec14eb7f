// A process that pushes changes one by one into the data folder it is given, and says the number of each one that was
// acknowledged, until it is killed.

import { registerDevice } from '../../src/changes/devices.ts';
import { pushChanges } from '../../src/changes/push-changes.ts';
import { ensureUser } from '../../src/changes/users.ts';
import { openDatabase } from '../../src/db/database.ts';
import { must } from '../../src/lib/errors.ts';
import { pushDeps, upsert } from '../changes/fixture.ts';

const dataDir = must(process.argv[2], 'the data folder is the first argument');
const { kysely } = await openDatabase({ dataDir });
const { id } = await ensureUser(kysely, 'ada', new Date());
const deps = pushDeps(kysely);
const introduction = { deviceId: 'phone', name: 'Phone', platform: 'test' };
let { lastMutationId } = await registerDevice(deps, id, introduction);
for (;;) {
  const changes = [upsert(lastMutationId + 1)];
  const answer = await pushChanges(deps, id, { deviceId: 'phone', changes });
  if (answer.kind === 'gap') throw new Error(`gap at ${answer.expectedMutationId}`);
  lastMutationId = answer.lastMutationId;
  process.stdout.write(`${lastMutationId}\n`);
}
