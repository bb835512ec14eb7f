// The door by which operators' commands reach the server that has the built-in database: only one process may open that. It
// is open to this machine alone, and to those who may read the data folder, where its address and its secret are.

import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { makeFileAtomically } from '../lib/atomic-file.ts';
import { listen, urlOf } from '../lib/listen.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';

const FILE = 'control.json';
const OWNER_ONLY = 0o600;

/** A command and what it is about, as JSON carries it. */
export interface ControlCommand {
  readonly name: string;
  readonly folder?: string;
}

interface Door {
  readonly url: string;
  readonly secret: string;
  /** Of the process that has the data folder. */
  readonly pid: number;
}

/** What came of a command: its text, or what a caller is to read of its failure. */
type Answer = { readonly text: string } | { readonly error: string };

/** Opens the door of the process that holds the data folder. */
export async function openControl(
  dataDir: string,
  run: (command: ControlCommand) => Promise<string>,
): Promise<{ close(): Promise<void> }> {
  const secret = randomBytes(32).toString('base64url');
  const answer = async (asked: IncomingMessage, response: ServerResponse) => {
    if (!isSame(asked.headers.authorization ?? '', secret)) {
      response.writeHead(401).end();
      return;
    }
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(await outcomeOf(asked, run)));
  };
  const server = createServer({ requestTimeout: 0 }, (asked, response) => {
    void answer(asked, response);
  });
  const host = '127.0.0.1';
  const url = urlOf(host, await listen(server, { host, port: 0 }));
  const path = join(dataDir, FILE);
  const door: Door = { url, secret, pid: process.pid };
  await makeFileAtomically(path, (temporaryPath) =>
    writeFile(temporaryPath, JSON.stringify(door), { mode: OWNER_ONLY }),
  );
  return {
    close: async () => {
      await rm(path, { force: true });
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Has the process of this number, which holds the data folder, run the command; null when it has no door. However long the
 *  command takes, the caller waits. Throws what the process says went wrong. */
export async function askHolder(
  dataDir: string,
  pid: number,
  command: ControlCommand,
): Promise<string | null> {
  const file = await readFile(join(dataDir, FILE), 'utf8').catch(nullIfMissing);
  const door = file === null ? null : (JSON.parse(file) as Door);
  // an earlier process was killed and has left its file
  if (door?.pid !== pid) return null;
  const asking = request(door.url, { method: 'POST', headers: { authorization: door.secret } });
  asking.end(JSON.stringify(command));
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  const answer = JSON.parse(await text(response)) as Answer;
  if ('error' in answer) throw new Error(answer.error);
  return answer.text;
}

async function outcomeOf(
  asked: IncomingMessage,
  run: (command: ControlCommand) => Promise<string>,
): Promise<Answer> {
  try {
    return { text: await run(JSON.parse(await text(asked)) as ControlCommand) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

function isSame(given: string, secret: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(secret)];
  return one.length === other.length && timingSafeEqual(one, other);
}
