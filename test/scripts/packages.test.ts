import { readFile } from 'node:fs/promises';
import { minVersion, satisfies } from 'semver';
import { expect, it } from 'vitest';
import { must } from '../../src/lib/errors.ts';

interface Package {
  readonly engines?: { readonly node?: string };
}

const read = async (file: string) =>
  JSON.parse(await readFile(new URL(`../../${file}`, import.meta.url), 'utf8'));

it('installs no package that wants a newer Node than README asks for', async () => {
  const { engines } = (await read('package.json')) as Package;
  const { packages } = (await read('package-lock.json')) as { packages: Record<string, Package> };
  const oldest = must(minVersion(must(engines?.node, 'a version')), 'a range');
  const others = Object.entries(packages).filter(
    ([, { engines: wanted }]) => wanted?.node !== undefined && !satisfies(oldest, wanted.node),
  );
  expect(Object.keys(packages).length).toBeGreaterThan(100);
  expect(others.map(([name, { engines: wanted }]) => `${name}: ${wanted?.node}`)).toEqual([]);
});
