// Training on this phone: begun when there is more to learn from, stopped and gone on with at will, also after the page
// was closed.

import type { Trained, TrainOutcome } from '../../../src/client/client.ts';
import { messageOf } from './dom.ts';
import type { LossPoint } from './loss-curve.ts';
import { type Phone, PLACES } from './phone.ts';
import type { Progress } from './progress.ts';

const { mode } = PLACES.device;

export class DeviceRun {
  readonly #phone: Phone;
  readonly #onChange: () => void;
  #stopping: AbortController | null = null;
  #isAskedAgain = false;
  #points: LossPoint[] = [];
  #totalSteps = 0;
  /** Why there is no training; null: there is or was one. */
  #why: string | null = null;
  isStopped = false;

  constructor(phone: Phone, onChange: () => void) {
    this.#phone = phone;
    this.#onChange = onChange;
  }

  /** Trains, or goes on, unless it does already: then once more when that is over. */
  begin(): void {
    this.isStopped = false;
    if (this.#stopping !== null) this.#isAskedAgain = true;
    else void this.#run();
  }

  stop(): void {
    this.#isAskedAgain = false;
    this.#stopping?.abort(new Error('stopped'));
  }

  toggle(): void {
    if (this.#stopping === null) this.begin();
    else this.stop();
  }

  async progress(): Promise<Progress> {
    const trained = await this.#phone.client.training(mode);
    const isRunning = this.#stopping !== null && this.#why === null;
    const losses = trained?.result?.losses ?? [];
    // what is over is drawn whole, also when a part of it ran before the page was opened anew
    const whole = losses.map((loss, n) => ({ step: n + 1, loss }));
    const points = isRunning || whole.length === 0 ? this.#points : whole;
    const step = points.at(-1)?.step ?? 0;
    const totalSteps = isRunning ? this.#totalSteps : step;
    const status = this.#why ?? statusOf(trained, { step, totalSteps, isRunning });
    return { status, points, step, totalSteps: Math.max(totalSteps, step), isRunning };
  }

  async #run(): Promise<void> {
    this.#stopping = new AbortController();
    this.#why = null;
    try {
      do {
        this.#isAskedAgain = false;
        await this.#once(this.#stopping.signal);
      } while (this.#isAskedAgain);
    } catch (error) {
      this.isStopped = this.#stopping.signal.aborted;
      if (!this.isStopped) this.#why = `It cannot be trained here: ${messageOf(error)}.`;
    } finally {
      this.#stopping = null;
      this.#onChange();
    }
  }

  async #once(signal: AbortSignal): Promise<void> {
    const { client } = this.#phone;
    if (!(await client.base())?.isInstalled) {
      this.#why = 'Install the model on this phone first, below.';
      return;
    }
    this.#onChange();
    const outcome: TrainOutcome = await client.train(mode, {
      signal,
      onStep: ({ step, totalSteps, loss }) => {
        // another run begins at its first step
        if (step <= (this.#points.at(-1)?.step ?? 0)) this.#points = [];
        this.#points.push({ step, loss });
        this.#totalSteps = totalSteps;
        this.#onChange();
      },
    });
    if (outcome.kind === 'skipped' && outcome.reason === 'TOO_LITTLE_DATA')
      this.#why = 'Too few mails to learn from yet: about forty are needed.';
  }
}

function statusOf(
  trained: Trained | null,
  { step, totalSteps, isRunning }: { step: number; totalSteps: number; isRunning: boolean },
): string {
  if (isRunning)
    return step === 0
      ? 'Getting ready on this phone ...'
      : `Step ${step} of ${totalSteps}, on this phone.`;
  if (trained === null) return 'Nothing was trained here yet.';
  const reason = trained.reason === null ? '' : `: ${trained.reason}`;
  return {
    TRAINING: 'Stopped. It goes on where it was.',
    TRAINED: 'Trained. Uploading the adapter ...',
    PUBLISHED: 'Published, and on its way to your other phone.',
    REJECTED: `Not better than before, so not published${reason}`,
    CONFLICT: 'Another adapter came first: save a mail to train again.',
    REFUSED: `The server will not have it${reason}`,
  }[trained.status];
}
