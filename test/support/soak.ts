/** How many random runs a model test makes: a few every day, SOAK of them when asked to take its time. */
export function soakRuns(everyDay: number): number {
  return Number(process.env.SOAK ?? everyDay);
}
