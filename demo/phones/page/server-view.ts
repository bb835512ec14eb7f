// What the page asks the server besides what the SDK does: how training goes, and what the user thinks of an answer.

/** A training run as the page shows it. */
export interface Run {
  readonly status: string;
  readonly step: number;
  readonly totalSteps: number;
  readonly losses: readonly number[];
}

const LAST_RUN = `query LastRun($mode: String!) { viewer { mode(key: $mode) { runs(first: 1) {
  edges { node { status step totalSteps losses } } } } } }`;
const RATE = `mutation Rate($input: RateCompletionInput!) { rateCompletion(input: $input) { id } }`;

export class Server {
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  /** The newest run of the mode; null: there was none. */
  async lastRun(mode: string): Promise<Run | null> {
    type Answer = { viewer: { mode: { runs: { edges: { node: Run }[] } } | null } };
    const { viewer } = await this.#ask<Answer>(LAST_RUN, { mode });
    return viewer.mode?.runs.edges[0]?.node ?? null;
  }

  async rate(completionId: string, verdict: 'UP' | 'DOWN'): Promise<void> {
    await this.#ask(RATE, { input: { completionId, verdict } });
  }

  async #ask<T>(query: string, variables: Readonly<Record<string, unknown>>): Promise<T> {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${this.#token}` };
    const body = JSON.stringify({ query, variables });
    const answer = await fetch('/graphql', { method: 'POST', headers, body });
    const { data, errors } = (await answer.json()) as { data?: T; errors?: { message: string }[] };
    if (data === undefined || errors) throw new Error(errors?.[0]?.message ?? 'no answer');
    return data;
  }
}
