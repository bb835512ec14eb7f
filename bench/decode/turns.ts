import { median } from './figure.ts';

/** Runs each side in turn: one round that does not count, so that every buffer has been touched, and then so many. Gives
 *  the median of each side; every single value goes to standard error. */
export async function inTurns<Side extends string>(
  sides: Readonly<Record<Side, (turn: number) => Promise<number>>>,
  turns: number,
): Promise<Readonly<Record<Side, number>>> {
  const names = Object.keys(sides) as Side[];
  const values = names.map((): number[] => []);
  for (let turn = 0; turn <= turns; turn += 1)
    for (const [i, name] of names.entries()) values[i]?.push(await sides[name](turn));
  const medians = names.map((name, i): [Side, number] => {
    const [, ...counted] = values[i] ?? [];
    process.stderr.write(`  ${name}: ${counted.map((value) => value.toFixed(1)).join(', ')}\n`);
    return [name, median(counted)];
  });
  return Object.fromEntries(medians) as Record<Side, number>;
}
