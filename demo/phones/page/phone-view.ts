// One phone on the page: what its user does, handed to the SDK, and what the SDK says, shown.

import { type EngineWorker, openWorkerEngine } from '../../../src/client/answers/worker-engine.ts';
import { type AttuneClient, openClient } from '../../../src/client/client.ts';
import { openBrowserStorage } from '../../../src/client/storage/browser-storage.ts';
import type { DeviceStorage } from '../../../src/client/storage/storage.ts';
import { openWorkerTrainer } from '../../../src/client/training/worker-trainer.ts';
import type { FileMessage } from '../../../src/sync/protocol.ts';
import { AnswersPanel } from './answers-panel.ts';
import { elementOf, find, messageOf } from './dom.ts';
import { MailsPanel } from './mails-panel.ts';
import { ModelPanel } from './model-panel.ts';
import type { Panel, Phone, Place } from './phone.ts';
import { Server } from './server-view.ts';
import { TrainingPanel } from './training-panel.ts';

/** How often a phone that is open in another tab looks whether it still is, in ms. */
const TAKEN_MS = 1000;

/** What a phone is given. */
export interface PhoneGift {
  readonly token: string;
  readonly mailbox: Phone['mailbox'];
}

const HTML = `<article class="phone"><header><h2></h2><span class="state"></span>
  <label class="switch flight"><input type="checkbox" role="switch" name="flight"><span></span> Flight mode</label></header>
  <p class="error" data-show="trouble"></p></article>`;

const STATES: Readonly<Record<AttuneClient['state'], string>> = {
  syncing: 'syncing',
  live: 'in step',
  waiting: 'no connection',
  paused: 'in flight',
  'signed-out': 'signed out',
  closed: 'stopped',
};

/** A phone: its element, and the client behind it. */
export class PhoneView {
  readonly element = elementOf(HTML);
  readonly #name: string;
  readonly #gift: PhoneGift;
  #panels: readonly Panel[] = [];

  constructor(name: string, gift: PhoneGift) {
    this.#name = name;
    this.#gift = gift;
    this.element.id = name.toLowerCase();
    find(this.element, 'h2').textContent = name;
  }

  /** Opens the client, once no other tab has it, and begins to show it. */
  async start(): Promise<void> {
    const storage = await this.#storage();
    let model: ModelPanel | null = null;
    const client = await openClient({
      url: location.origin,
      token: () => Promise.resolve(this.#gift.token),
      storage,
      name: this.#name,
      platform: 'web',
      webSocket: WebSocket,
      engine: openWorkerEngine(() => startWorker('/worker.js')),
      trainer: openWorkerTrainer(() => startWorker('/trainer.js')),
      onState: (_state, error) => this.#show(client, error),
      onChange: () => this.#show(client, null),
      onProgress: (file: FileMessage, done) => model?.onProgress(file, done),
    });
    const phone = this.#phone(client);
    const training = new TrainingPanel({
      ...phone,
      setPlace: (place) => this.#setPlace(place, client),
    });
    model = new ModelPanel(phone, () => training.onMail());
    const mails = new MailsPanel({ ...phone, onMail: () => training.onMail() });
    this.#panels = [mails, training, model, new AnswersPanel(phone)];
    this.element.append(...this.#panels.map(({ element }) => element));
    this.#offerFlight(client);
    this.#show(client, null);
  }

  #phone(client: AttuneClient): Phone {
    return {
      name: this.#name,
      client,
      server: new Server(this.#gift.token),
      mailbox: this.#gift.mailbox,
      place: () => this.#place(),
      setPlace: () => undefined,
      onMail: () => undefined,
    };
  }

  async #storage(): Promise<DeviceStorage> {
    for (;;) {
      try {
        const storage = await openBrowserStorage(this.#name);
        this.#trouble('');
        return storage;
      } catch (error) {
        this.#trouble(`${messageOf(error)}: close it to go on here.`);
        await new Promise((resolve) => setTimeout(resolve, TAKEN_MS));
      }
    }
  }

  #place(): Place {
    return localStorage.getItem(`attune:place:${this.#name}`) === 'device' ? 'device' : 'cloud';
  }

  #setPlace(place: Place, client: AttuneClient): void {
    localStorage.setItem(`attune:place:${this.#name}`, place);
    this.#show(client, null);
  }

  #offerFlight(client: AttuneClient): void {
    const flight = find<HTMLInputElement>(this.element, '[name=flight]');
    flight.addEventListener('change', () => {
      if (flight.checked) client.pause();
      else void client.resume();
    });
  }

  #show(client: AttuneClient, error: Error | null): void {
    const state = find(this.element, '.state');
    state.textContent = STATES[client.state];
    state.dataset.state = client.state;
    if (error !== null) state.title = error.message;
    for (const panel of this.#panels)
      void panel.show().catch((cause: unknown) => this.#trouble(messageOf(cause)));
  }

  #trouble(text: string): void {
    find(this.element, '[data-show=trouble]').textContent = text;
  }
}

function startWorker(path: string): EngineWorker {
  return new Worker(path, { type: 'module' }) as unknown as EngineWorker;
}
