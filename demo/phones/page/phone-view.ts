// One phone on the page: what its user does, handed to the SDK, and what the SDK says, shown.

import { openBrowserStorage } from '../../../src/client/browser-storage.ts';
import { type Answer, type AttuneClient, openClient } from '../../../src/client/client.ts';
import { type EngineWorker, openWorkerEngine } from '../../../src/client/worker-engine.ts';
import type { ChangeMessage } from '../../../src/sync/protocol.ts';
import { type Run, Server } from './server-view.ts';

const MODE = 'subject';
/** How often the page asks how training goes, in ms. */
const LOOK_MS = 700;

/** What a phone is given. */
export interface PhoneGift {
  readonly token: string;
  readonly mailbox: readonly Omit<ChangeMessage, 'kind'>[];
}

const TEMPLATE = `
  <header><h2></h2><span class="state"></span>
    <label class="flight"><input type="checkbox" name="flight"> Flight mode</label></header>
  <section><h3>Mails</h3>
    <input type="text" name="subject" placeholder="Subject" aria-label="Subject">
    <textarea name="body" rows="2" placeholder="A mail that you wrote" aria-label="Mail"></textarea>
    <div class="row"><button name="save">Save mail</button>
      <button name="import" class="plain">Import the sample mailbox</button></div>
    <p class="quiet" data-show="queue"></p></section>
  <section><h3>Training</h3>
    <p class="quiet" data-show="run">Nothing was trained yet.</p>
    <progress data-show="steps" value="0" max="1"></progress>
    <svg class="curve" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label="Training loss"><polyline/></svg></section>
  <section><h3>On this phone</h3>
    <p class="quiet" data-show="adapter"></p>
    <progress data-show="download" value="0" max="1" hidden></progress>
    <button name="base" class="plain">Install the model here</button></section>
  <section><h3>Ask for a subject line</h3>
    <textarea name="question" rows="3" aria-label="Mail without a subject"></textarea>
    <button name="ask">Ask phone and cloud</button>
    <div data-show="answers"></div></section>`;

/** A phone: its element, and the client behind it. */
export class PhoneView {
  readonly element = document.createElement('article');
  readonly #name: string;
  readonly #gift: PhoneGift;
  readonly #server: Server;
  #client: AttuneClient | null = null;

  constructor(name: string, gift: PhoneGift) {
    this.#name = name;
    this.#gift = gift;
    this.#server = new Server(gift.token);
    this.element.className = 'phone';
    this.element.id = name.toLowerCase();
    this.element.innerHTML = TEMPLATE;
    this.#find('h2').textContent = name;
    const last = gift.mailbox.at(-1)?.data as { readonly body?: string } | undefined;
    this.#input('question').value = last?.body ?? '';
  }

  /** Opens the client and begins to show it. */
  async start(): Promise<void> {
    const client = await openClient({
      url: location.origin,
      token: () => Promise.resolve(this.#gift.token),
      storage: await openBrowserStorage(this.#name),
      name: this.#name,
      platform: 'web',
      webSocket: WebSocket,
      engine: openWorkerEngine(
        () => new Worker('/worker.js', { type: 'module' }) as unknown as EngineWorker,
      ),
      onState: () => this.#show(),
      onChange: () => this.#show(),
      onProgress: (file, done) => this.#showDownload(done / file.sizeBytes),
    });
    this.#client = client;
    this.#on('save', () => this.#save(client));
    this.#on('import', () => this.#import(client));
    this.#on('base', () => client.installBase());
    this.#on('ask', () => this.#ask(client));
    const flight = this.#input('flight');
    flight.addEventListener('change', () => {
      if (flight.checked) client.pause();
      else void client.resume();
    });
    this.#show();
    void this.#watchTraining();
  }

  async #save(client: AttuneClient): Promise<void> {
    const [subject, body] = [this.#input('subject'), this.#input('body')];
    if (body.value.trim() === '') return;
    await client.push([
      {
        source: 'mail.sent',
        recordId: crypto.randomUUID(),
        kind: 'UPSERT',
        data: { to: ['someone@example.org'], subject: subject.value, body: body.value },
        occurredAt: new Date().toISOString(),
      },
    ]);
    subject.value = '';
    body.value = '';
    this.#show();
  }

  async #import(client: AttuneClient): Promise<void> {
    await client.push(this.#gift.mailbox.map((mail) => ({ ...mail, kind: 'UPSERT' as const })));
    this.#show();
  }

  /** The same question for both. */
  async #ask(client: AttuneClient): Promise<void> {
    const input = { body: this.#input('question').value };
    const places = this.#find('[data-show=answers]');
    places.replaceChildren();
    for (const where of ['auto', 'cloud'] as const) {
      const card = document.createElement('div');
      card.className = 'answer';
      places.append(card);
      const answer = await client.complete({ mode: MODE, input, where }).catch(String);
      if (typeof answer === 'string') card.textContent = 'No answer: the cloud cannot be reached.';
      else this.#showAnswer(card, answer);
    }
  }

  #showAnswer(card: HTMLElement, answer: Answer): void {
    const who = answer.origin === 'DEVICE' ? 'this phone' : 'the cloud';
    const what = answer.adapter === null ? 'no adapter' : `adapter ${answer.adapter.version}`;
    card.dataset.origin = answer.origin;
    card.innerHTML = '<strong></strong><footer><span class="quiet"></span></footer>';
    this.#find('strong', card).textContent = answer.text.trim();
    this.#find('span', card).textContent = `${who}, ${what}`;
    const { id } = answer;
    if (id === null) return;
    for (const [label, verdict] of [
      ['Good', 'UP'],
      ['Bad', 'DOWN'],
    ] as const) {
      const button = document.createElement('button');
      button.className = 'plain';
      button.textContent = label;
      button.ariaLabel = verdict === 'UP' ? 'Good answer' : 'Bad answer';
      button.addEventListener('click', () => {
        void this.#server.rate(id, verdict).then(() => {
          for (const one of card.querySelectorAll('button'))
            one.ariaPressed = String(one === button);
        });
      });
      this.#find('footer', card).append(button);
    }
  }

  #show(): void {
    void this.#showAll().catch((error: unknown) => {
      this.#find('[data-show=queue]').textContent = String(error);
    });
  }

  async #showAll(): Promise<void> {
    const client = this.#client;
    if (client === null) return;
    const state = this.#find('.state');
    state.textContent = client.state;
    state.dataset.state = client.state;
    const waiting = await client.pendingCount();
    this.#find('[data-show=queue]').textContent =
      waiting === 0 ? 'Everything is sent.' : `${waiting} changes wait to be sent.`;
    const adapter = await client.adapter(MODE);
    const base = await client.base();
    const held = adapter === null ? 'No adapter yet' : `Adapter ${adapter.version}`;
    const model =
      base === null ? '' : base.isInstalled ? ', and the model' : ', the model is coming';
    this.#find('[data-show=adapter]').textContent = held + model;
    this.element.dataset.version = String(adapter?.version ?? 0);
    this.element.dataset.base = String(base?.isInstalled ?? false);
    this.#find('[name=base]').hidden = base !== null;
    if (client.state !== 'syncing') this.#find('[data-show=download]').hidden = true;
  }

  #showDownload(share: number): void {
    const bar = this.#find<HTMLProgressElement>('[data-show=download]');
    bar.hidden = false;
    bar.value = share;
  }

  async #watchTraining(): Promise<void> {
    for (;;) {
      // a phone in flight mode hears nothing
      if (this.#client?.state !== 'paused') {
        const run = await this.#server.lastRun(MODE).catch(() => null);
        if (run !== null) this.#showRun(run);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  #showRun({ status, step, totalSteps, losses }: Run): void {
    const loss = losses.at(-1);
    const at = loss === undefined ? '' : `, loss ${loss.toFixed(3)}`;
    this.#find('[data-show=run]').textContent = `${status.toLowerCase()}, step ${step}${at}`;
    const bar = this.#find<HTMLProgressElement>('[data-show=steps]');
    bar.max = Math.max(1, totalSteps);
    bar.value = status === 'RUNNING' ? step : bar.max;
    const most = Math.max(...losses, 1e-9);
    const points = losses.map(
      (value, n) => `${(100 * n) / Math.max(1, losses.length - 1)},${38 - (36 * value) / most}`,
    );
    this.#find<SVGPolylineElement>('polyline').setAttribute('points', points.join(' '));
  }

  #on(name: string, task: () => Promise<void>): void {
    const button = this.#find<HTMLButtonElement>(`button[name=${name}]`);
    button.addEventListener('click', () => {
      button.disabled = true;
      void task()
        .catch((error: unknown) => {
          this.#find('[data-show=queue]').textContent = String(error);
        })
        .finally(() => {
          button.disabled = false;
        });
    });
  }

  #input(name: string): HTMLInputElement {
    return this.#find<HTMLInputElement>(`[name=${name}]`);
  }

  #find<T extends Element = HTMLElement>(selector: string, within: Element = this.element): T {
    const found = within.querySelector<T>(selector);
    if (found === null) throw new Error(`the phone has no ${selector}`);
    return found;
  }
}
