// The default base, for the tests that need its real weights. They run where it is in the user's cache (one `npm start`
// puts it there) and are listed as not run otherwise; REQUIRE_MODEL=1 has them run, fetching it first, or fail.

import envPaths from 'env-paths';
import { findBase, installBase } from '../../../src/model/base/base-install.ts';
import type { Base } from '../../../src/model/base/base-package.ts';

/** Where the user's base models are. */
export const realBaseCacheDir =
  process.env.ATTUNE_CACHE ?? envPaths('attune', { suffix: '' }).cache;

const options = { model: 'default', cacheDir: realBaseCacheDir };

const isRequired = process.env.REQUIRE_MODEL === '1';

/** The installed default base; null where the tests that need it are not to run. */
export const realBase: Base | null = isRequired
  ? await installBase(options)
  : await findBase(options);
