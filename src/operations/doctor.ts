// Finds out what would keep a server from starting or working, one part after the other.

/** What came of one check: what is there, or what is wrong and the remedy. */
export interface Finding {
  readonly part: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** Runs the checks one after the other; a check that throws is a finding. `check` says what it found. */
export async function diagnose(
  checks: Readonly<Record<string, () => Promise<string>>>,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [part, check] of Object.entries(checks)) {
    findings.push(
      await check().then(
        (detail) => ({ part, ok: true, detail }),
        (error) => ({ part, ok: false, detail: reasonOf(error) }),
      ),
    );
  }
  return findings;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
