// What an app ships when it uses the SDK.

import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

const bundle = async (entry: string, platform: 'browser' | 'node') => {
  const { metafile, outputFiles } = await build({
    entryPoints: [entry],
    platform,
    bundle: true,
    format: 'esm',
    minify: true,
    metafile: true,
    write: false,
    // what only a server has must fail the build, not be left out of it
    external: platform === 'node' ? ['fs-native-extensions'] : [],
  });
  return { inputs: Object.keys(metafile.inputs), code: outputFiles[0]?.contents };
};

it('has no server code and nothing of Node, and stays small', async () => {
  const { inputs, code } = await bundle('src/client/client.ts', 'browser');
  const foreign = inputs.filter(
    (path) =>
      !/^src\/(client|lib|sync\/protocol|model\/(lora-wire|device-graph-name|safetensors-|bad-file))|(^|\/)node_modules\/graphql-ws\//.test(
        path,
      ),
  );
  expect(foreign).toEqual([]);
  const sizeKb = gzipSync(code ?? '').length / 1024;
  process.stdout.write(`attune/client: ${sizeKb.toFixed(1)} kB gzipped\n`);
  expect(sizeKb).toBeLessThan(20);
});

it('has an engine for Workers with no server code either, without onnxruntime, which the app brings', async () => {
  const { inputs, code } = await bundle('src/client/engine-worker.ts', 'browser');
  const shared = [
    'src/(client|lib|inference/core|modes/(template|output-sha|output-sta)|graph/d)',
    'src/(adapters/peft-|runtime/(ort-session|host-tensor|check-feeds)|model/(?!base|download))',
    '(^|/)node_modules/@huggingface/(jinja|tokenizers)/',
  ];
  const pattern = new RegExp(shared.join('|'));
  expect(inputs.filter((path) => !pattern.test(path))).toEqual([]);
  const sizeKb = gzipSync(code ?? '').length / 1024;
  process.stdout.write(`attune/client/engine-worker: ${sizeKb.toFixed(1)} kB gzipped\n`);
  expect(sizeKb).toBeLessThan(60);
});

it('has a storage for Node that needs no server code either', async () => {
  const { inputs } = await bundle('src/client/node-storage.ts', 'node');
  expect(inputs.filter((path) => !/^src\/(client|lib)\//.test(path))).toEqual([]);
});
