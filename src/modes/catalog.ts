import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../lib/errors.ts';
import type { Check } from './json-schema.ts';
import { loadMode } from './load-mode.ts';
import type { Mode, ModeCatalog } from './mode.ts';
import { ModeFileError } from './mode-file-error.ts';
import { loadSource } from './source.ts';

/** Loads every `<dir>/*.yaml` and `<dir>/sources/*.json`, or of the modes `only` those named.
 *  Throws ModeFileError with file, line and reason; BAD_INPUT when `only` names a mode that is not there. */
export async function loadCatalog(
  dir: string,
  options: { only?: readonly string[] | undefined } = {},
): Promise<ModeCatalog> {
  const sourceFiles = await filesIn(join(dir, 'sources'), '.json');
  const sources = await Promise.all(sourceFiles.map(loadSource));
  const byKey = new Map(sources.map((source) => [source.key, source]));
  const files = await filesIn(dir, '.yaml');
  const modes = await Promise.all(files.map((file) => loadMode(file, byKey)));
  await Promise.all(modes.map(checkShippedAdapter(dir)));

  const checks = new Map(sources.map(({ key, check }) => [key, check]));
  const served = selectModes(modes, options.only);
  for (const mode of served) checkKeptSources(dir, served, mode);
  return makeCatalog(served, checks);
}

async function filesIn(dir: string, extension: string): Promise<readonly string[]> {
  const names = await readdir(dir);
  return names
    .filter((name) => name.endsWith(extension))
    .sort()
    .map((name) => join(dir, name));
}

function selectModes(modes: readonly Mode[], only: readonly string[] | undefined): readonly Mode[] {
  if (only === undefined) return modes;
  const known = modes.map(({ key }) => key);
  const unknown = only.find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new AppError('BAD_INPUT', `no mode "${unknown}"; known modes: ${known.join(', ')}`);
  }
  return modes.filter(({ key }) => only.includes(key));
}

function checkShippedAdapter(dir: string) {
  return async ({ key, shippedAdapter }: Mode): Promise<void> => {
    if (shippedAdapter === null) return;
    const found = await stat(shippedAdapter).catch(() => null);
    if (found?.isDirectory()) return;
    const reason = `shippedAdapter names "${shippedAdapter}", which is no folder`;
    throw new ModeFileError(reason, { file: join(dir, `${key}.yaml`), line: 1 });
  };
}

/** What one mode keeps on devices, another one must not have sent. */
function checkKeptSources(dir: string, modes: readonly Mode[], { key, sources, trainsOn }: Mode) {
  if (trainsOn !== 'device') return;
  for (const source of sources) {
    const other = modes.find((mode) => mode.trainsOn !== 'device' && mode.sources.includes(source));
    if (other === undefined) continue;
    const reason = `keeps "${source}" on devices, but the mode "${other.key}" has it sent to the server`;
    throw new ModeFileError(reason, { file: join(dir, `${key}.yaml`), line: 1 });
  }
}

function lookupFields(modes: readonly Mode[], source: string): readonly string[] {
  const rules = modes.flatMap(({ context }) => context).filter((rule) => rule.source === source);
  return [...new Set(rules.map(({ field }) => field))];
}

/** The catalog of these modes and of the checks of their sources. */
function makeCatalog(modes: readonly Mode[], sources: ReadonlyMap<string, Check>): ModeCatalog {
  const byKey = new Map(modes.map((mode) => [mode.key, mode]));
  const known = (names: Iterable<string>) => [...names].join(', ');
  return {
    modes,
    sources: [...sources.keys()],
    mode(key) {
      const mode = byKey.get(key);
      if (mode !== undefined) return mode;
      throw new AppError('NOT_FOUND', `no mode "${key}"; known modes: ${known(byKey.keys())}`);
    },
    lookupFields: (source) => lookupFields(modes, source),
    modesOf: (source) => modes.filter((mode) => mode.sources.includes(source)),
    validateRecord(source, data) {
      const keeper = modes.find(
        (mode) => mode.trainsOn === 'device' && mode.sources.includes(source),
      );
      if (keeper !== undefined)
        return `records of ${source} stay on the device: ${keeper.key} trains there`;
      const check = sources.get(source);
      if (check !== undefined) return check(data);
      return `no source "${source}"; known sources: ${known(sources.keys())}`;
    },
  };
}
