import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { StartError } from '../../src/lib/start-error.ts';

const open = (databaseUrl: string) => openDatabase({ dataDir: '/nowhere', databaseUrl });

/** A port of this machine at which nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 1;
}

describe('a PostgreSQL that cannot be used', () => {
  it('is named with what is wrong and where to look, without the password', async () => {
    const port = await deadPort();
    const opening = open(`postgres://anna:secret@127.0.0.1:${port}/attune`);
    await expect(opening).rejects.toThrow(StartError);
    await expect(opening).rejects.toThrow(
      `Cannot use PostgreSQL at 127.0.0.1:${port}/attune: nothing listens there. Check DATABASE_URL.`,
    );
  });
});
