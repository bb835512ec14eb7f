import type { LossPoint } from './loss-curve.ts';

/** How the training that is shown goes, in the cloud or on the phone. */
export interface Progress {
  readonly status: string;
  readonly points: readonly LossPoint[];
  readonly step: number;
  readonly totalSteps: number;
  readonly isRunning: boolean;
}
