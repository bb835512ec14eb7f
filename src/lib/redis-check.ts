import { createClient } from 'redis';

/** Says what a Redis is like. Throws when it cannot be reached, when it may evict jobs, or when a restart loses them. */
export async function checkRedis(url: string): Promise<string> {
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  // a failure to connect rejects as well
  client.on('error', () => undefined);
  await client.connect();
  try {
    const settings = await client.configGet(['maxmemory-policy', 'appendonly']);
    const { 'maxmemory-policy': policy, appendonly } = settings;
    if (policy !== 'noeviction')
      throw new Error(`maxmemory-policy is ${policy}: jobs may vanish. Set it to noeviction.`);
    if (appendonly !== 'yes')
      throw new Error(
        'appendonly is off: a restart forgets jobs, which come back late. Turn it on.',
      );
    return 'keeps its jobs';
  } finally {
    client.destroy();
  }
}
