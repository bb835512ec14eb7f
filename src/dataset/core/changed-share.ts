/** What came and what went between two datasets, as a share of what the second one has. */
export function changedShare(before: ReadonlySet<string>, after: ReadonlySet<string>): number {
  const came = [...after].filter((sha256) => !before.has(sha256)).length;
  const went = [...before].filter((sha256) => !after.has(sha256)).length;
  return (came + went) / Math.max(1, after.size);
}
