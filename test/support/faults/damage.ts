// What a deployment under faults stands on, and what must not become of it.

/** An empty database, and a Redis whose content nobody else needs. */
export interface ServerUrls {
  readonly postgres: string;
  readonly redis: string;
}

/** What went wrong, counted over all users: all of it should be 0. */
export interface Damage {
  /** Changes that were accepted and are gone, and events that are missing. */
  readonly lost: number;
  /** Runs that published more than once. */
  readonly doubled: number;
  /** Events that show a user another one's adapter. */
  readonly crossUserReads: number;
}

/** How a deployment differs from others. */
export interface DeploymentOptions {
  /** An empty folder for adapters and trainers, which is removed in the end (standard: one of its own). */
  readonly folder?: string;
  /** How long a run stays with a trainer that is silent (standard: a few seconds). */
  readonly leaseMs?: number;
}
