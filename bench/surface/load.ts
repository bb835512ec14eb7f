// One small query, asked again and again.

import { openConnection, type Target } from './connection.ts';

const QUERY = JSON.stringify({ query: '{ viewer { id } }' });

/** Milliseconds of each request, one after the other on one connection. */
export async function latencies(target: Target, count: number): Promise<number[]> {
  const connection = await openConnection(target);
  const times: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const startedAt = performance.now();
    await connection.ask(QUERY);
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
  const opened = await Promise.all(
    Array.from({ length: connections }, () => openConnection(target)),
  );
  const startedAt = performance.now();
  const until = startedAt + seconds * 1000;
  let count = 0;
  await Promise.all(
    opened.map(async ({ ask }) => {
      while (performance.now() < until) {
        await ask(QUERY);
        count += 1;
      }
    }),
  );
  for (const { close } of opened) close();
  return count / ((performance.now() - startedAt) / 1000);
}
