// What was answered to changes that were pushed before, for whoever pushes them again.

import type { Db } from '../db/database.ts';
import { keysOf, openRowsWith } from '../db/sealed-columns.ts';
import { must } from '../lib/errors.ts';
import type { UserKeys } from '../sealing/user-keys.ts';
import type { DeviceName } from './accept-push.ts';
import type { PreparedChange } from './change.ts';

/** The answer to one change. */
export interface ChangeResult {
  readonly mutationId: number;
  readonly outcome: 'APPLIED' | 'DUPLICATE' | 'REJECTED';
  readonly reason: string | null;
  readonly changeSeq: number | null;
}

/** The answers to changes with these reasons for being rejected, applied from this place in the user's order on. */
export function answersOf(
  changes: readonly Pick<PreparedChange, 'mutationId' | 'reason'>[],
  firstChangeSeq: number,
): ChangeResult[] {
  let nextSeq = firstChangeSeq;
  return changes.map(({ mutationId, reason }) => {
    if (reason !== null) return { mutationId, outcome: 'REJECTED', reason, changeSeq: null };
    nextSeq += 1;
    return { mutationId, outcome: 'APPLIED', reason, changeSeq: nextSeq - 1 };
  });
}

/** The answers to changes that the device has pushed before: those of the first time, or CONFLICT where the payload is another. */
export async function repeatAnswers(
  db: Db,
  device: DeviceName,
  changes: readonly PreparedChange[],
): Promise<readonly ChangeResult[]> {
  const keys = await keysOf(db, device.userId);
  const stored = await storedAnswers(db, keys, device, changes);
  return changes.map(({ mutationId, payloadSha256 }) => {
    const answer = must(stored.get(mutationId), 'every applied mutationId has a stored answer');
    // of what was pushed before answers lay sealed, the stored hash is a keyed one
    const isSame = [payloadSha256, keys.tag(payloadSha256)].includes(answer.payloadSha256);
    return isSame
      ? { ...answer.result, outcome: 'DUPLICATE' }
      : { mutationId, outcome: 'REJECTED', reason: 'CONFLICT', changeSeq: null };
  });
}

interface StoredAnswer {
  readonly payloadSha256: string;
  readonly result: ChangeResult;
}

/** By mutationId, those to all changes of the pushes that these changes were in. */
async function storedAnswers(
  db: Db,
  keys: UserKeys,
  { userId, deviceId }: DeviceName,
  changes: readonly PreparedChange[],
): Promise<ReadonlyMap<number, StoredAnswer>> {
  const first = must(changes.at(0), 'there are changes').mutationId;
  const last = must(changes.at(-1), 'there are changes').mutationId;
  const own = db.selectFrom('pushes').where('userId', '=', userId).where('deviceId', '=', deviceId);
  const rows = await own
    .selectAll()
    .where('firstMutationId', '<=', last)
    .where('firstMutationId', '>=', (eb) =>
      eb
        .selectFrom(
          own.select('firstMutationId').where('firstMutationId', '<=', first).as('before'),
        )
        .select(({ fn }) => fn.max('before.firstMutationId').as('first')),
    )
    .execute();
  return new Map(
    openRowsWith(keys, 'pushes', rows).flatMap(
      ({ firstMutationId, changeCount, firstChangeSeq, results }) => {
        const hashes = Buffer.from(results.hashes, 'base64');
        const answered = Array.from({ length: changeCount }, (_, place) => ({
          mutationId: firstMutationId + place,
          reason: results.reasons[place] ?? null,
        }));
        return answersOf(answered, firstChangeSeq).map((result, place): [number, StoredAnswer] => {
          const payloadSha256 = hashes.toString(
            'hex',
            place * HASH_BYTES,
            (place + 1) * HASH_BYTES,
          );
          return [result.mutationId, { payloadSha256, result }];
        });
      },
    ),
  );
}

/** Of SHA-256. */
const HASH_BYTES = 32;
