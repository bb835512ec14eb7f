// The states of records that only a push itself has seen.

import { type RecordRef, refName } from './record-ref.ts';

/** A change to a record, in the order of a push. */
interface StateChange extends RecordRef {
  /** Null: a delete. */
  readonly data: unknown;
}

/** The states that a later change of the same push replaces, so that the database never has them: those that a delete of
 *  their record follows are early, as are all of a record that is not deleted; those after its last delete are late. */
export function passingStates<Change extends StateChange>(
  changes: readonly Change[],
): { readonly early: readonly Change[]; readonly late: readonly Change[] } {
  const newest = new Map<string, number>();
  const lastDelete = new Map<string, number>();
  for (const [place, change] of changes.entries()) {
    newest.set(refName(change), place);
    if (change.data === null) lastDelete.set(refName(change), place);
  }
  const early: Change[] = [];
  const late: Change[] = [];
  for (const [place, change] of changes.entries()) {
    const name = refName(change);
    if (change.data === null || newest.get(name) === place) continue;
    const isEarly = place < (lastDelete.get(name) ?? changes.length);
    (isEarly ? early : late).push(change);
  }
  return { early, late };
}
