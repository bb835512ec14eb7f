import { defineConfig } from 'vitest/config';
import { INSPECTED, StuckFiles } from './test/support/stuck-files.ts';

export default defineConfig({
  // Vite would take the package's ES module, while Node gives nexus and Apollo its CommonJS form: two realms of types.
  resolve: { alias: { graphql: 'graphql/index.js' } },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/servers/servers.ts',
    reporters: ['default', new StuckFiles()],
    pool: 'forks',
    execArgv: INSPECTED,
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
