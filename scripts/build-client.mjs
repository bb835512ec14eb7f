// Builds the device SDK as a package of its own in dist/attune, or in the folder that is named: `npm pack ./dist/attune`
// makes what is published. The code is bundled, so that it needs no other package; the types are those of the sources.

import { execFileSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = resolve(root, process.argv[2] ?? 'dist/attune');
const project = readJson('package.json');
/** Source files by the name under which they are imported. */
const entries = Object.entries(project.exports);
/** src/client/x.ts as built: client/x, with js or d.ts behind it. */
const builtPath = (source) => source.replace('./src/', './').replace(/\.ts$/, '');

rmSync(out, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: entries.map(([, source]) => source),
  outbase: 'src',
  outdir: out,
  bundle: true,
  splitting: true,
  format: 'esm',
  target: 'es2022',
  // the storage for Node reaches Node's own modules; the other two are the app's to bring
  external: ['node:*', 'fs-native-extensions', 'onnxruntime-*'],
});
writeTypes();
writeFileSync(join(out, 'package.json'), `${JSON.stringify(manifest(), null, 2)}\n`);
for (const path of ['LICENSE', 'docs/protocol.md'])
  copyFileSync(join(root, path), join(out, basename(path)));
copyFileSync(join(root, 'docs/clients/sdk.md'), join(out, 'README.md'));
for (const [name, source] of entries) {
  const { length } = gzipSync(readFileSync(join(out, `${builtPath(source)}.js`)));
  process.stdout.write(
    `attune${name.slice(1)}: ${(length / 1024).toFixed(1)} kB gzipped without shared chunks\n`,
  );
}

function writeTypes() {
  const config = join(out, 'tsconfig.json');
  const emit = { noEmit: false, emitDeclarationOnly: true, declaration: true, types: ['node'] };
  const compilerOptions = { ...emit, outDir: out, rootDir: join(root, 'src') };
  const typeRoots = [join(root, 'node_modules/@types')];
  const files = [
    ...entries.map(([, source]) => join(root, source)),
    join(root, 'src/lib/fs-native-extensions.d.ts'),
  ];
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: { ...compilerOptions, typeRoots },
      files,
      include: [],
    }),
  );
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', config], { stdio: 'inherit' });
  rmSync(config);
  for (const name of readdirSync(out, { recursive: true })) {
    if (!name.endsWith('.d.ts')) continue;
    const text = readFileSync(join(out, name), 'utf8');
    writeFileSync(
      join(out, name),
      text.replace(/(from |import\()(['"]\.[^'"]*)\.ts(['"])/g, '$1$2.js$3'),
    );
  }
}

function manifest() {
  const { name, version, description, license, type, engines, devDependencies } = project;
  const exports = entries.map(([path, source]) => [
    path,
    { types: `${builtPath(source)}.d.ts`, default: `${builtPath(source)}.js` },
  ]);
  const peers = ['fs-native-extensions', 'onnxruntime-web'];
  const versions = { ...devDependencies, ...project.dependencies };
  return {
    ...{ name, version, description, license, type, engines },
    exports: Object.fromEntries(exports),
    peerDependencies: Object.fromEntries(peers.map((peer) => [peer, `^${versions[peer]}`])),
    peerDependenciesMeta: Object.fromEntries(peers.map((peer) => [peer, { optional: true }])),
  };
}

function readJson(path) {
  return JSON.parse(readFileSync(join(root, path), 'utf8'));
}
