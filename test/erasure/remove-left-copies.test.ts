import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { publishAdapter } from '../../src/adapters/publish.ts';
import { type AdapterStore, openAdapterStore } from '../../src/adapters/store.ts';
import { Uploads } from '../../src/adapters/uploads.ts';
import { vaultOf } from '../../src/db/sealed-columns.ts';
import { removeLeftCopies } from '../../src/erasure/remove-left-copies.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { candidateOf, newTrainee } from '../adapters/fixture.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

describeWithDatabase("a process's own copies of adapters", (database) => {
  const inFolder = useTemporaryFolder();

  /** A user with an adapter whose bytes are in the store. */
  async function newUser(store: AdapterStore) {
    const trainee = await newTrainee(database());
    const trained = inFolder(randomUUID());
    await mkdir(trained);
    await writeFile(join(trained, 'adapter_config.json'), '{}');
    await writeFile(join(trained, 'adapter_model.safetensors'), trainee.userId);
    const stored = await store.put(trained, trainee.userId);
    const candidate = { ...candidateOf(trainee.userId), ...stored };
    await publishAdapter(trainee.deps, await trainee.startRun(), candidate);
    return { userId: trainee.userId, sha256: stored.sha256 };
  }

  it('go when another process has erased the user or removed the bytes, and stay otherwise', async () => {
    const db = database().kysely;
    const store = await openAdapterStore(inFolder('adapters'), vaultOf(db));
    const [kept, erased, revoked, unpublished] = await Promise.all(
      Array.from({ length: 4 }, () => newUser(store)),
    );
    const ofUser = (user = { userId: '' }) => user.userId;
    await db
      .updateTable('users')
      .set({ erasedAt: new Date(), subject: null })
      .where('id', '=', ofUser(erased))
      .execute();
    await db
      .updateTable('adapters')
      .set({ status: 'REVOKED', bytesGone: true })
      .where('userId', '=', ofUser(revoked))
      .execute();
    // its bytes are there, and its row is about to be written
    await db.deleteFrom('feedEvents').where('userId', '=', ofUser(unpublished)).execute();
    await db.deleteFrom('adapters').where('userId', '=', ofUser(unpublished)).execute();
    const uploads = new Uploads(inFolder('uploads'), systemClock, vaultOf(db));
    const plan = { deviceId: 'phone', mode: 'subject', sizeBytes: 9, sha256: sha256('adapter') };
    for (const user of [kept, erased]) await uploads.begin(ofUser(user), plan);
    await removeLeftCopies({ db, store, uploads });
    expect(await uploads.users()).toEqual([ofUser(kept)]);
    const left = (await store.copies()).map(({ userId }) => userId).sort();
    expect(left).toEqual([kept, unpublished].map(ofUser).sort());
  });
});
