// Processes that the program starts in tests run it as `npm run build` made it: TypeScript that is compiled as it is loaded starts
// in twice the time.

import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vitest/config';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
/** A source's own URL of what it starts as a process of its own. */
const SCRIPT = /new URL\('\.\/([\w-]+-process)\.ts', import\.meta\.url\)/g;

/** Vite's plugin that has sources start compiled scripts; servers.ts compiles them. */
export const compiledProcesses: Plugin = {
  name: 'compiled-processes',
  enforce: 'pre',
  transform(code, id) {
    const path = relative(ROOT, id);
    if (!path.startsWith('src/')) return undefined;
    const built = new URL(`../../../dist/server/${path}`, import.meta.url);
    return code.replace(
      SCRIPT,
      (_, name: string) => `new URL(${JSON.stringify(new URL(`${name}.js`, built).href)})`,
    );
  },
};
