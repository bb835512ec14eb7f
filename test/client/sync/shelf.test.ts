import { describe, expect, it } from 'vitest';
import {
  beginAnew,
  EMPTY_SHELF,
  fail,
  filesInUse,
  install,
  reachEnd,
  reconcile,
  type Shelf,
  settleWord,
  takeStep,
  wantedAdapters,
} from '../../../src/client/sync/shelf.ts';
import type { AdapterMessage, FeedStep } from '../../../src/sync/protocol.ts';

const adapter = (n: number): AdapterMessage => ({
  id: `a${n}`,
  origin: 'SERVER',
  version: n,
  sha256: `sha ${n}`,
  mode: { key: 'subject' },
  base: { sha256: 'base' },
  files: [{ name: 'f', url: '/f', sizeBytes: 1, sha256: `sha ${n}` }],
});
const ready = (n: number): FeedStep => ({
  __typename: 'AdapterReady',
  cursor: `ready ${n}`,
  adapter: adapter(n),
});
const revoked = (n: number): FeedStep => ({
  __typename: 'AdapterRevoked',
  cursor: `revoked ${n}`,
  adapterId: `a${n}`,
  modeKey: 'subject',
  reason: 'DATA_DELETED',
});

const slot = (shelf: Shelf) => {
  const { wanted, installed } = shelf.slots.subject ?? { wanted: null, installed: null };
  return { wanted: wanted?.id ?? null, installed: installed?.id ?? null };
};
const words = (shelf: Shelf) => shelf.owed.map(({ adapterId, state }) => `${state} ${adapterId}`);

describe('the shelf', () => {
  const one = install(takeStep(EMPTY_SHELF, ready(1)), adapter(1));

  it('moves the cursor with what it means (DEV-4)', () => {
    expect(one.cursor).toBe('ready 1');
    expect(slot(one)).toEqual({ wanted: null, installed: 'a1' });
    expect(words(one)).toEqual(['INSTALLED a1']);
  });

  it('uses the last good one until the next one is there, and when it cannot be had (DEV-6)', () => {
    const next = takeStep(one, ready(2));
    expect(slot(next)).toEqual({ wanted: 'a2', installed: 'a1' });
    expect(filesInUse(next).map(({ sha256 }) => sha256)).toEqual(['sha 2', 'sha 1']);
    const failed = fail(next, adapter(2), 'wrong bytes');
    expect(slot(failed)).toEqual({ wanted: 'a2', installed: 'a1' });
    expect(wantedAdapters(failed)).toEqual([]);
    expect(words(failed)).toEqual(['INSTALLED a1', 'FAILED a2']);
  });

  it('drops what is revoked at once (DEV-8)', () => {
    const gone = takeStep(one, revoked(1));
    expect(slot(gone)).toEqual({ wanted: null, installed: null });
    expect(words(gone)).toEqual(['INSTALLED a1', 'REMOVED a1']);
  });

  it('has none where the server has none: a wanted one that is revoked takes the one it superseded along', () => {
    const gone = takeStep(takeStep(one, ready(2)), revoked(2));
    expect(slot(gone)).toEqual({ wanted: null, installed: null });
  });

  it('does not install what was revoked or superseded while it was fetched (DEV-8)', () => {
    const wanted = takeStep(EMPTY_SHELF, ready(1));
    expect(slot(install(takeStep(wanted, revoked(1)), adapter(1)))).toEqual({
      wanted: null,
      installed: null,
    });
    expect(slot(install(takeStep(wanted, ready(2)), adapter(1))).installed).toBeNull();
  });

  it('uses what it holds during a resync and drops what the feed does not show again (DEV-5)', () => {
    const anew = beginAnew(one);
    expect([anew.cursor, slot(anew).installed]).toEqual([null, 'a1']);
    expect(slot(reachEnd(takeStep(anew, ready(1)), 'end')).installed).toBe('a1');
    const end = reachEnd(anew, 'end');
    expect([end.cursor, slot(end).installed]).toEqual(['end', null]);
    expect(words(end)).toEqual(['INSTALLED a1', 'REMOVED a1']);
  });

  it('removes what the server does not let it hold (DEV-9)', () => {
    expect(slot(settleWord(one, 'refused')).installed).toBeNull();
    const settled = settleWord(one, 'taken');
    expect([slot(settled).installed, settled.owed]).toEqual(['a1', []]);
  });

  it('puts right what the server believes, once (DEV-9)', () => {
    const settled = settleWord(one, 'taken');
    expect(words(reconcile(settled, ['a1']))).toEqual([]);
    expect(words(reconcile(settled, ['a7']))).toEqual(['REMOVED a7', 'INSTALLED a1']);
    expect(words(reconcile(one, []))).toEqual(['INSTALLED a1']);
  });
});
