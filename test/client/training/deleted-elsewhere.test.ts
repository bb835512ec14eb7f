import { expect, it } from 'vitest';
import { dropDeletedElsewhere } from '../../../src/client/training/deleted-elsewhere.ts';
import { OracleServer } from '../oracle/oracle-server.ts';
import { changeNamed, TestDevice } from '../test-device.ts';

it('forgets before a training what the server has no more, and nothing that waits to be sent (DEV-27)', async () => {
  const phone = new TestDevice(new OracleServer(), 'phone');
  const { parts } = phone;
  const definition = { training: { where: 'both', sources: ['notes'] } };
  await parts.storage.write([['modes', { notes: { definition, trainingFiles: [] } } as never]]);
  const changes = ['a', 'b', 'c', 'waiting'].map((name) => changeNamed(name));
  await parts.storage.write(changes.flatMap((change) => parts.records.writesOf(change)));
  await parts.outbox.add(changes.slice(3));
  // published here: from a and b, then from c as well
  const trained = (run: string, records: readonly string[]) => ({
    ...{ mode: 'notes', run, records, status: 'TRAINED' as const, reason: null, result: null },
    ...{ parentId: null, startedFromId: null, dataThrough: 3 },
    ...{ baseSha256: 'base', datasetSha256: run },
    lesson: {
      ...{ recipe: '', datasetSha256: run, learnt: [], rootLearnt: [] },
      shippedSha256: null,
    },
    shippedFiles: [],
  });
  const first = trained('first', ['notes/a', 'notes/b']);
  const second = trained('second', ['notes/a', 'notes/b', 'notes/c']);
  await parts.storage.write(await parts.learnt.noting(first, 'bytes 1'));
  await parts.storage.write(await parts.learnt.noting(second, 'bytes 2'));
  await parts.storage.write(await parts.learnt.publishing(second, 'adapter 2'));
  await parts.trained.write(second);

  const pages = [['a'], ['b']];
  const asked: unknown[] = [];
  parts.api.ask = ((_name: string, variables: unknown) => {
    asked.push(variables);
    const edges = (pages.shift() ?? []).map((recordId) => ({ node: { recordId } }));
    const pageInfo = { hasNextPage: pages.length > 0, endCursor: `after ${asked.length}` };
    return Promise.resolve({ viewer: { records: { edges, pageInfo } } });
  }) as typeof parts.api.ask;
  await dropDeletedElsewhere(parts, ['notes'], new AbortController().signal);
  expect(asked).toEqual([
    { source: 'notes', after: null },
    { source: 'notes', after: 'after 1' },
  ]);
  expect(phone.kept('notes')).toEqual(['notes/a', 'notes/b', 'notes/waiting']);
  // what learnt from c is no start any more; the server revokes it by itself
  expect(await parts.trained.find('notes')).toBeNull();
  expect(await parts.learnt.newest('notes')).toBeNull();
  expect(await parts.learnt.forgotten()).toEqual([]);
});
