// Training: who does it, how far it is, and the loss of each step.

import { DeviceRun } from './device-run.ts';
import { elementOf, find, onClick } from './dom.ts';
import { LossCurve } from './loss-curve.ts';
import { type Panel, type Phone, PLACES } from './phone.ts';
import type { Progress } from './progress.ts';
import type { Run } from './server-view.ts';

/** How often the page asks how training goes in the cloud, in ms. */
const LOOK_MS = 700;

const HTML = `<section><h3>Training</h3>
  <label class="switch"><input type="checkbox" role="switch" name="place"><span></span> Train on this phone</label>
  <p class="quiet" data-show="place"></p>
  <p data-show="run"></p>
  <progress data-show="steps" value="0" max="1" hidden></progress>
  <div class="row"><button name="train" class="plain" hidden></button></div></section>`;

const WHO = {
  cloud: 'Mails go to the server, which trains for all your devices.',
  device: 'Mails stay on this phone, which trains by itself. Only the finished adapter leaves it.',
};

export class TrainingPanel implements Panel {
  readonly element = elementOf(HTML);
  readonly #phone: Phone;
  readonly #curve = new LossCurve();
  readonly #own: DeviceRun;
  #server: Progress = IDLE;

  constructor(phone: Phone) {
    this.#phone = phone;
    this.#own = new DeviceRun(phone, () => void this.show());
    find(this.element, '[data-show=steps]').after(this.#curve.element);
    const place = find<HTMLInputElement>(this.element, '[name=place]');
    place.checked = phone.place() === 'device';
    place.addEventListener('change', () => {
      phone.setPlace(place.checked ? 'device' : 'cloud');
      if (place.checked) this.#own.begin();
      else this.#own.stop();
    });
    const button = find<HTMLButtonElement>(this.element, 'button[name=train]');
    onClick(
      button,
      async () => this.#own.toggle(),
      () => undefined,
    );
    if (place.checked) this.#own.begin();
    void this.#watch();
  }

  /** There is more to learn from. */
  onMail(): void {
    if (this.#phone.place() === 'device') this.#own.begin();
  }

  async show(): Promise<void> {
    const place = this.#phone.place();
    const { status, points, step, totalSteps, isRunning } =
      place === 'device' ? await this.#own.progress() : this.#server;
    find(this.element, '[data-show=place]').textContent = WHO[place];
    find(this.element, '[data-show=run]').textContent = status;
    this.element.dataset.points = String(points.length);
    this.element.dataset.running = String(isRunning);
    const bar = find<HTMLProgressElement>(this.element, '[data-show=steps]');
    bar.hidden = !isRunning;
    bar.max = Math.max(1, totalSteps);
    bar.value = step;
    this.#curve.show(points, totalSteps);
    const button = find<HTMLButtonElement>(this.element, 'button[name=train]');
    button.hidden = place === 'cloud' || !(isRunning || this.#own.isStopped);
    button.textContent = isRunning ? 'Stop' : 'Go on';
  }

  async #watch(): Promise<never> {
    const { client, server } = this.#phone;
    for (;;) {
      // a phone in flight mode hears nothing
      if (client.state !== 'paused' && this.#phone.place() === 'cloud') {
        const runs = await server.runs(PLACES.cloud.mode).catch(() => []);
        const [newest] = runs;
        // one that had nothing to learn does not hide what the one before has learnt
        const drawn = runs.find(({ losses }) => losses.length > 0);
        if (newest !== undefined) this.#server = progressOf(newest, drawn ?? newest);
      }
      await this.show();
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}

const IDLE: Progress = {
  status: 'Nothing was trained yet.',
  ...{ points: [], step: 0, totalSteps: 0, isRunning: false },
};

const STATUSES: Readonly<Record<string, string>> = {
  QUEUED: 'In the queue.',
  PUBLISHED: 'Published, and on its way to your devices.',
  REJECTED: 'Not better than before, so not published',
  SKIPPED: 'Nothing new to learn',
  FAILED: 'It failed',
  CANCELLED: 'Cancelled',
};

const REASONS: Readonly<Record<string, string>> = {
  TOO_LITTLE_DATA: 'about forty mails are needed',
  UNCHANGED: 'this was learnt already',
};

function progressOf({ status, step, totalSteps, secondsLeft, reason }: Run, drawn: Run): Progress {
  const points = drawn.losses.map((loss, n) => ({ step: n + 1, loss }));
  const left = secondsLeft === null ? '' : `, ${Math.ceil(secondsLeft)} s left`;
  const running = step === 0 ? 'Getting ready ...' : `Step ${step} of ${totalSteps}${left}.`;
  const because = reason === null ? '' : `: ${REASONS[reason] ?? reason}.`;
  const isRunning = status === 'RUNNING';
  const said = isRunning ? running : `${STATUSES[status] ?? status}${because}`;
  return { status: said, points, step, totalSteps, isRunning };
}
