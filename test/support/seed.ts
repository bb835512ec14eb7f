/** The seed of a random test: SEED from the environment to run one again, else the clock's. Printed, so that it can be. */
export function announceSeed(name: string): number {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  process.stdout.write(`${name}: SEED=${seed}\n`);
  return seed;
}

/** Numbers from 0 to 1: Marsaglia's xorshift32. */
export function randomFrom(seed: number): () => number {
  let state = seed || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
