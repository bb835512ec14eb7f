// A client that costs little itself: raw sockets which stay open, one request at a time on each.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Where to send what. */
export interface Target {
  readonly url: string;
  readonly token: string;
}

const QUERY = JSON.stringify({ query: '{ viewer { id } }' });
const HEAD_END = '\r\n\r\n';

/** Milliseconds of each request, one after the other on one connection. */
export async function latencies(target: Target, count: number): Promise<number[]> {
  const connection = await open(target);
  const times: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const startedAt = performance.now();
    await connection.ask();
    times.push(performance.now() - startedAt);
  }
  connection.close();
  return times;
}

/** Requests per second over so many connections at once. */
export async function throughput(
  target: Target,
  { connections, seconds }: { connections: number; seconds: number },
): Promise<number> {
  const opened = await Promise.all(Array.from({ length: connections }, () => open(target)));
  const startedAt = performance.now();
  const until = startedAt + seconds * 1000;
  let count = 0;
  await Promise.all(
    opened.map(async ({ ask }) => {
      while (performance.now() < until) {
        await ask();
        count += 1;
      }
    }),
  );
  for (const { close } of opened) close();
  return count / ((performance.now() - startedAt) / 1000);
}

async function open({ url, token }: Target) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).setNoDelay(true);
  await once(socket, 'connect');
  const request = [
    'POST /graphql HTTP/1.1',
    `Host: ${hostname}`,
    'Content-Type: application/json',
    'Accept: application/graphql-response+json',
    `Authorization: Bearer ${token}`,
    `Content-Length: ${QUERY.length}`,
    '',
    QUERY,
  ].join('\r\n');
  return {
    ask: () => {
      socket.write(request);
      return readAnswer(socket);
    },
    close: () => socket.destroy(),
  };
}

/** Resolves when one answer is there whole; rejects unless it is one with data. */
function readAnswer(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    const onData = (piece: Buffer) => {
      text += piece.toString('latin1');
      if (!isWhole(text)) return;
      socket.off('data', onData);
      if (text.startsWith('HTTP/1.1 200') && text.includes('"viewer"')) resolve();
      else reject(new Error(`not an answer: ${text.slice(0, 500)}`));
    };
    socket.on('data', onData);
  });
}

function isWhole(text: string): boolean {
  const headEnd = text.indexOf(HEAD_END);
  if (headEnd < 0) return false;
  const length = /^content-length: (\d+)/im.exec(text)?.[1];
  if (length === undefined) return text.endsWith(`0${HEAD_END}`);
  return text.length >= headEnd + HEAD_END.length + Number(length);
}
