// What an app ships when it uses the SDK.

import { gzipSync } from 'node:zlib';
import { build, type Metafile } from 'esbuild';
import { must } from '../../../src/lib/errors.ts';

/** An entry point of the SDK as an app would bundle it: the sources that are loaded with it at once, and their size. */
export async function sdkBundle(entry: string, platform: 'browser' | 'node') {
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
}

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
