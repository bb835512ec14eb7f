// What an app ships when it uses the SDK.

import { gzipSync } from 'node:zlib';
import { build, type Metafile } from 'esbuild';
import { expect, it } from 'vitest';
import { must } from '../../src/lib/errors.ts';

const bundle = async (entry: string, platform: 'browser' | 'node') => {
  const { metafile, outputFiles } = await build({
    entryPoints: { entry },
    platform,
    bundle: true,
    splitting: true,
    outdir: '/out',
    // in which the paths of inputs are as they are here
    absWorkingDir: process.cwd(),
    format: 'esm',
    minify: true,
    metafile: true,
    write: false,
    // what only a server has must fail the build, not be left out of it
    external: platform === 'node' ? ['fs-native-extensions'] : [],
  });
  const loaded = loadedWith('entry.js', metafile.outputs);
  const code = outputFiles.filter(({ path }) => loaded.some((name) => path.endsWith(name)));
  return {
    inputs: loaded.flatMap((name) => Object.keys(outputOf(name, metafile.outputs).inputs)),
    sizeKb: code.reduce((sum, { contents }) => sum + gzipSync(contents).length, 0) / 1024,
  };
};

type Outputs = Metafile['outputs'];

function outputOf(name: string, outputs: Outputs): Outputs[string] {
  const found = Object.entries(outputs).find(([path]) => path.endsWith(name));
  return must(found, `the output ${name}`)[1];
}

/** The output and those that it imports at once: what it imports later costs nothing before. */
function loadedWith(name: string, outputs: Outputs): readonly string[] {
  const names = new Set([name]);
  for (const one of names)
    for (const { path, kind, external } of outputOf(one, outputs).imports)
      if (kind === 'import-statement' && external !== true)
        names.add(path.split('/').at(-1) ?? path);
  return [...names];
}

it('has no server code and nothing of Node, and stays small', async () => {
  const { inputs, sizeKb } = await bundle('src/client/client.ts', 'browser');
  const foreign = inputs.filter(
    (path) =>
      !/^src\/(client|lib|sync\/protocol|model\/(lora-wire|device-graph-name|safetensors-|bad-file))|(^|\/)node_modules\/graphql-ws\//.test(
        path,
      ),
  );
  expect(foreign).toEqual([]);
  process.stdout.write(`attune/client: ${sizeKb.toFixed(1)} kB gzipped\n`);
  expect(sizeKb).toBeLessThan(20);
});

it('has an engine for Workers with no server code either, without onnxruntime, which the app brings', async () => {
  const { inputs, sizeKb } = await bundle('src/client/engine-worker.ts', 'browser');
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
    const { inputs, sizeKb } = await bundle(`src/client/${entry}.ts`, 'browser');
    const foreign =
      /^src\/(db|graph\/onnx|start|transport|runs|answers|auth|server)|kysely|protobuf|ajv|^node:/;
    expect(inputs.filter((path) => foreign.test(path))).toEqual([]);
    process.stdout.write(`attune/client/${entry}: ${sizeKb.toFixed(1)} kB gzipped\n`);
    expect(sizeKb).toBeLessThan(90);
  }
});

it('has a storage for Node that needs no server code either', async () => {
  const { inputs } = await bundle('src/client/node-storage.ts', 'node');
  expect(inputs.filter((path) => !/^src\/(client|lib)\//.test(path))).toEqual([]);
});
