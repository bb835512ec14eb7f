// What an app ships when it uses the SDK.

import { expect, it } from 'vitest';
import { sdkBundle } from '../support/devices/sdk-bundle.ts';

it('has no server code and nothing of Node, and stays small', async () => {
  const { inputs, sizeKb } = await sdkBundle('src/client/client.ts', 'browser');
  const foreign = inputs.filter(
    (path) =>
      !/^src\/(client|lib|sync\/protocol|model\/(lora\/lora-wire|decode\/device-graph-name|safetensors\/|bad-file))|(^|\/)node_modules\/graphql-ws\//.test(
        path,
      ),
  );
  expect(foreign).toEqual([]);
  process.stdout.write(`attune/client: ${sizeKb.toFixed(1)} kB gzipped\n`);
  expect(sizeKb).toBeLessThan(22);
});

it('has an engine for Workers with no server code either, without onnxruntime, which the app brings', async () => {
  const { inputs, sizeKb } = await sdkBundle('src/client/answers/engine-worker.ts', 'browser');
  const shared = [
    'src/(client|lib|inference/core|modes/(template|output-sha|output-sta)|graph/d)',
    'src/(adapters/peft-|runtime/(ort-session|host-tensor|check-feeds)|model/(?!base-(?!texts)|download))',
    '(^|/)node_modules/@huggingface/(jinja|tokenizers)/',
  ];
  const pattern = new RegExp(shared.join('|'));
  expect(inputs.filter((path) => !pattern.test(path))).toEqual([]);
  process.stdout.write(`attune/client/engine-worker: ${sizeKb.toFixed(1)} kB gzipped\n`);
  expect(sizeKb).toBeLessThan(60);
});

it('loads what trains only where an app trains, with no server code either', async () => {
  for (const entry of ['device-training', 'trainer-worker']) {
    const { inputs, sizeKb } = await sdkBundle(`src/client/training/${entry}.ts`, 'browser');
    const foreign =
      /^src\/(db|graph\/onnx|start|transport|runs|answers|auth|server)|kysely|protobuf|ajv|^node:/;
    expect(inputs.filter((path) => foreign.test(path))).toEqual([]);
    process.stdout.write(`attune/client/${entry}: ${sizeKb.toFixed(1)} kB gzipped\n`);
    expect(sizeKb).toBeLessThan(90);
  }
});

it('has a storage for Node that needs no server code either', async () => {
  const { inputs } = await sdkBundle('src/client/storage/node-storage.ts', 'node');
  expect(inputs.filter((path) => !/^src\/(client|lib)\//.test(path))).toEqual([]);
});
