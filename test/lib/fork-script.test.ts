import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { must } from '../../src/lib/errors.ts';
import { forkScript } from '../../src/lib/fork-script.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

const path = useTemporaryFolder();

/** A TypeScript file outside of the project's folder, as any working directory is. */
function script(text: string): URL {
  writeFileSync(path('child.mts'), text);
  return pathToFileURL(path('child.mts'));
}

const ECHO = "process.on('message', (value: unknown) => { process.send?.(value); });";

it('runs TypeScript and carries typed arrays and numbers that JSON has not', async () => {
  const { child } = forkScript(script(ECHO));
  const message = { floats: Float32Array.of(1, Number.NaN), big: 2n, infinite: -Infinity };
  child.send(message);
  expect(await once(child, 'message')).toEqual([message, undefined]);
  child.disconnect();
  expect(await once(child, 'exit')).toEqual([0, null]);
});

it('gives the child the asked priority', async () => {
  const { child } = forkScript(script(ECHO), { niceness: 7 });
  expect(getPriority(must(child.pid, 'the child runs'))).toBe(7);
  child.disconnect();
  await once(child, 'exit');
});

it('keeps the end of what the child wrote to stderr', async () => {
  const { child, stderr } = forkScript(
    script("process.stderr.write('x'.repeat(9000) + 'last words'); process.exitCode = 3;"),
  );
  const [code] = await once(child, 'close');
  expect(code).toBe(3);
  expect(stderr()).toHaveLength(4000);
  expect(stderr()).toMatch(/xxlast words$/);
});
