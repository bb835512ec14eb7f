/** Uniform numbers in [0, 1) that are the same on every machine for the same seed. */
export type Random = () => number;

/** A generator whose whole sequence follows from the seed: 32 or more hex digits, such as a SHA-256.
 *  xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021). */
export function seededRandom(seed: string): Random {
  const state = Uint32Array.from([0, 8, 16, 24], (at) =>
    Number.parseInt(seed.slice(at, at + 8), 16),
  );
  // the all-zero state is the generator's one fixed point
  if (state.every((word) => word === 0)) state[0] = 1;
  return () => {
    const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = state;
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    const t2 = s2 ^ s0;
    const t3 = s3 ^ s1;
    state[0] = s0 ^ t3;
    state[1] = s1 ^ t2;
    state[2] = t2 ^ (s1 << 9);
    state[3] = rotateLeft(t3, 11);
    return result / 2 ** 32;
  };
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** A new array in random order (Fisher and Yates). */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}
