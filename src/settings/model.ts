// The base model and the modes.

import envPaths from 'env-paths';
import { projectFile } from '../lib/project-file.ts';
import { list, nonEmpty, path, type Setting, url } from './setting.ts';

export const MODEL_SETTINGS = {
  model: {
    flag: '--model',
    env: 'ATTUNE_MODEL',
    placeholder: 'model',
    description: 'base model: default, tiny, a folder, a .gguf file, or org/name of a model hub',
    expected: 'default, tiny, a path, or org/name',
    fallback: 'default',
    parse: nonEmpty,
  } satisfies Setting<string>,
  cacheDir: {
    flag: '--cache',
    env: 'ATTUNE_CACHE',
    placeholder: 'folder',
    description: 'where base models are kept, for all clones of one user',
    expected: 'the path of a folder',
    fallback: envPaths('attune', { suffix: '' }).cache,
    parse: path,
  } satisfies Setting<string>,
  hubUrl: {
    flag: '--hub',
    env: 'HF_ENDPOINT',
    placeholder: 'url',
    description: 'model hub to fetch org/name from, if not the public one',
    expected: 'a URL such as https://hub.example',
    fallback: null,
    parse: (text) => url(text, ['http:', 'https:']),
  } satisfies Setting<string>,
  modes: {
    flag: '--modes',
    env: 'ATTUNE_MODES',
    placeholder: 'keys',
    description: 'the modes to run, such as subject,reply (default: all)',
    expected: 'keys of modes with commas between them, such as subject,reply',
    fallback: null,
    parse: list,
  } satisfies Setting<readonly string[]>,
  modesDir: {
    flag: '--modes-dir',
    env: 'ATTUNE_MODES_DIR',
    placeholder: 'folder',
    description: 'where the modes and their sources are described',
    expected: 'the path of a folder',
    fallback: projectFile('modes'),
    parse: path,
  } satisfies Setting<string>,
};
