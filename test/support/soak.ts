/** How many random runs a model test makes: a few every day, SOAK of them when asked to take its time. */
export function soakRuns(everyDay: number): number {
  return Number(process.env.SOAK ?? everyDay);
}

/** How long such a test may take, in ms. */
export function soakLimitMs(): number {
  return process.env.SOAK === undefined ? 240_000 : 3_600_000;
}

/** How long a property is tested, in ms: less than any test with one may take. */
export function propertyLimitMs(): number {
  return process.env.SOAK === undefined ? 150_000 : 0.95 * soakLimitMs();
}
