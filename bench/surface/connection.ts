// A GraphQL client that costs little itself: a raw socket which stays open, one request at a time.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Where to send what. */
export interface Target {
  readonly url: string;
  readonly token: string;
}

/** An open connection. */
export interface Connection {
  /** Sends a body of JSON that was written out before; gives the body of the answer. Rejects unless it is one with data. */
  ask(body: string): Promise<string>;
  close(): void;
}

const HEAD_END = '\r\n\r\n';

/** Opens one connection to `/graphql`. */
export async function openConnection({ url, token }: Target): Promise<Connection> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).setNoDelay(true);
  await once(socket, 'connect');
  const head = [
    'POST /graphql HTTP/1.1',
    `Host: ${hostname}`,
    'Content-Type: application/json',
    'Accept: application/graphql-response+json',
    `Authorization: Bearer ${token}`,
    'Content-Length: ',
  ].join('\r\n');
  return {
    ask: (body) => {
      socket.write(`${head}${Buffer.byteLength(body)}${HEAD_END}${body}`);
      return readAnswer(socket);
    },
    close: () => socket.destroy(),
  };
}

function readAnswer(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const onData = (piece: Buffer) => {
      text += piece.toString('latin1');
      if (!isWhole(text)) return;
      socket.off('data', onData);
      const body = text.slice(text.indexOf(HEAD_END) + HEAD_END.length);
      if (text.startsWith('HTTP/1.1 200') && body.startsWith('{"data"')) resolve(body);
      else reject(new Error(`not an answer: ${text.slice(0, 500)}`));
    };
    socket.on('data', onData);
  });
}

function isWhole(text: string): boolean {
  const headEnd = text.indexOf(HEAD_END);
  if (headEnd < 0) return false;
  const length = /^content-length: (\d+)/im.exec(text.slice(0, headEnd))?.[1];
  if (length === undefined) return text.endsWith(`0${HEAD_END}`);
  return text.length >= headEnd + HEAD_END.length + Number(length);
}
