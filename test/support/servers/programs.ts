// The programs that some suites need, and what happens without them: the suites are listed as not run, or fail
// where REQUIRE_SERVERS=1 says that they must run.

import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const DEBIAN_POSTGRES = '/usr/lib/postgresql';

/** The path of a program; null when this machine has none. */
function findProgram(name: string): string | null {
  const candidates = searchPath().map((folder) => join(folder, name));
  return candidates.find((path) => existsSync(path)) ?? null;
}

/** Whether suites that need the program run here: where it is found, and wherever REQUIRE_SERVERS=1 insists. */
export function shouldRunWith(name: string): boolean {
  return findProgram(name) !== null || process.env.REQUIRE_SERVERS === '1';
}

/** The path of a program that a suite is about to start; throws when it is not installed. */
export function requireProgram(name: string): string {
  const path = findProgram(name);
  if (path === null) throw new Error(`${name} is not installed, and this suite needs it`);
  return path;
}

/** Debian keeps the server programs of PostgreSQL off the PATH, in a folder per version; the newest comes first. */
function searchPath(): string[] {
  const versions = existsSync(DEBIAN_POSTGRES) ? readdirSync(DEBIAN_POSTGRES) : [];
  const newestFirst = versions.sort((a, b) => Number(b) - Number(a));
  return [
    ...newestFirst.map((version) => join(DEBIAN_POSTGRES, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ];
}
