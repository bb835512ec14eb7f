// What the page asks the server besides what the SDK does: how training goes there.

/** A training run as the page shows it. */
export interface Run {
  readonly id: string;
  readonly status: string;
  readonly step: number;
  readonly totalSteps: number;
  readonly losses: readonly number[];
  readonly secondsLeft: number | null;
  readonly reason: string | null;
}

const RUNS = `query Runs($mode: String!) { viewer { mode(key: $mode) { runs(first: 5) {
  edges { node { id status step totalSteps losses secondsLeft reason } } } } } }`;

export class Server {
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  /** The newest runs of the mode, the newest first. */
  async runs(mode: string): Promise<readonly Run[]> {
    type Answer = { viewer: { mode: { runs: { edges: { node: Run }[] } } | null } };
    const { viewer } = await this.#ask<Answer>(RUNS, { mode });
    return (viewer.mode?.runs.edges ?? []).map(({ node }) => node);
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
