import type { Config } from '../config.ts';
import { StartError } from '../lib/start-error.ts';

/** Throws StartError where a command that is one share of the work has no database to share. */
export function requireSharedDatabase({ databaseUrl }: Config, command: string): void {
  if (databaseUrl !== undefined) return;
  throw new StartError(
    `attune ${command} shares its work with other processes, and the built-in database belongs to one. ` +
      'Name a PostgreSQL with --database-url or DATABASE_URL, or run everything in one process: attune all.',
  );
}
