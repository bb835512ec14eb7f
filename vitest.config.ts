import { defineConfig } from 'vitest/config';
import { BRIEF_LIFE } from './test/support/servers/attune-process.ts';
import { compiledProcesses } from './test/support/servers/compiled-processes.ts';
import { INSPECTED, StuckFiles } from './test/support/stuck-files.ts';

export default defineConfig({
  // Vite would take the package's ES module, while Node gives nexus and Apollo its CommonJS form: two realms of types.
  resolve: { alias: { graphql: 'graphql/index.js' } },
  plugins: [compiledProcesses],
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/servers/servers.ts',
    setupFiles: 'test/support/properties.ts',
    reporters: ['default', new StuckFiles()],
    pool: 'forks',
    execArgv: [...INSPECTED, ...BRIEF_LIFE],
    maxWorkers: 3,
    // for what hangs: nothing takes so long where others work as well
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 120_000 } },
  },
});
