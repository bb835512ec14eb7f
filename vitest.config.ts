import { defineConfig } from 'vitest/config';
import { APART, ApartFirst } from './test/support/sequence.ts';
import { BRIEF_LIFE } from './test/support/servers/attune-process.ts';
import { compiledProcesses } from './test/support/servers/compiled-processes.ts';
import { INSPECTED, StuckFiles } from './test/support/stuck-files.ts';

const maxWorkers = 3;

/** What holds for all test files. */
const each = {
  setupFiles: 'test/support/properties.ts',
  pool: 'forks' as const,
  execArgv: [...INSPECTED, ...BRIEF_LIFE],
  maxWorkers,
  // for what hangs: nothing takes so long where others work as well
  testTimeout: 180_000,
  hookTimeout: 180_000,
  expect: { poll: { timeout: 120_000 } },
};
const build = {
  // Vite would take the package's ES module, while Node gives nexus and Apollo its CommonJS form: two realms of types.
  resolve: { alias: { graphql: 'graphql/index.js' } },
  plugins: [compiledProcesses],
};

export default defineConfig({
  test: {
    globalSetup: 'test/support/servers/servers.ts',
    reporters: ['default', new StuckFiles()],
    maxWorkers,
    sequence: { sequencer: ApartFirst },
    projects: [
      { ...build, test: { ...each, name: 'apart', include: APART } },
      {
        ...build,
        test: {
          ...each,
          name: 'together',
          include: ['test/**/*.test.ts'],
          exclude: APART,
          isolate: false,
        },
      },
    ],
  },
});
