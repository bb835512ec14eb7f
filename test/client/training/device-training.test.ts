import { expect, it } from 'vitest';
import { DeviceTraining } from '../../../src/client/training/device-training.ts';
import { forget } from '../../../src/client/training/forget.ts';
import { sha256 } from '../../../src/lib/sha256.ts';
import { DEVICE_GRAPH_NAME } from '../../../src/model/decode/device-graph-name.ts';
import { OracleServer } from '../oracle/oracle-server.ts';
import { changeNamed, TestDevice } from '../test-device.ts';

const BASE_FILES = [
  ...[DEVICE_GRAPH_NAME, 'decode-i8.v1.safetensors', 'config.json'],
  ...['tokenizer.json', 'tokenizer_config.json'],
];

const DIARY = {
  ...{ context: {}, prompt: [], lora: {}, decode: {} },
  training: {
    ...{
      where: 'device',
      sources: ['diary'],
      examples: {},
      inputSchema: { properties: {} },
      objective: 'SFT',
    },
    ...{ recipe: {}, incremental: { rebuildShare: 1 }, preferences: {}, gate: { minHoldout: 0 } },
  },
};

/** A device with a base and two records of a mode that it trains. */
async function keeper() {
  const { parts } = new TestDevice(new OracleServer(), 'phone');
  const files = BASE_FILES.map((name) => ({ name, sha256: sha256(name), sizeBytes: 1, url: '' }));
  const base = { name: 'base', sha256: 'base', files, isInstalled: true, failure: null };
  const modes = { diary: { definition: DIARY, trainingFiles: [] } };
  const records = ['a', 'b'].flatMap((name) => parts.records.writesOf(changeNamed(name, 'diary')));
  await parts.storage.write([['base', base as never], ['modes', modes as never], ...records]);
  for (const { sha256: name } of files) await parts.storage.files.append(name, Buffer.from('{}'));
  return parts;
}

it('does not begin with a record that was deleted while the training was planned (DEV-25)', async () => {
  const parts = await keeper();
  const deletion = { ...changeNamed('a', 'diary'), kind: 'DELETE' as const };
  const read = parts.shelf.read.bind(parts.shelf);
  parts.shelf.read = async () => {
    await forget(parts, [deletion], (besides) =>
      parts.storage.write([...parts.records.writesOf(deletion), ...besides]),
    );
    return read();
  };
  const trainer = {
    train: () => Promise.reject(new Error('it has begun')),
    close: () => Promise.resolve(),
  };
  const training = new DeviceTraining(parts, trainer);
  const { signal } = new AbortController();
  const train = () => training.train('diary', {}, { device: signal, cloud: signal });
  await expect(train()).rejects.toThrow('deleted meanwhile');
  expect(await parts.trained.find('diary')).toBeNull();
  await expect(train()).rejects.toThrow('it has begun');
});
