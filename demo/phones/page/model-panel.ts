// What is on this phone: the adapter in use, the model, and how far a download is.

import type { FileMessage } from '../../../src/sync/protocol.ts';
import { elementOf, find, onClick, sizeText } from './dom.ts';
import { type Panel, type Phone, PLACES } from './phone.ts';

const HTML = `<section><h3>On this phone</h3>
  <div class="row"><span class="chip" data-show="adapter"></span><span class="chip" data-show="model"></span></div>
  <p class="quiet" data-show="downloaded"></p>
  <progress data-show="download" value="0" max="1" hidden></progress>
  <div class="row"><button name="base" class="plain">Install the model here</button></div>
  <p class="error" data-show="model-error"></p></section>`;

const MADE = {
  SERVER: 'trained in the cloud',
  DEVICE: 'trained on a phone',
  SHIPPED: 'shipped',
} as Readonly<Record<string, string>>;

export class ModelPanel implements Panel {
  readonly element = elementOf(HTML);
  readonly #phone: Phone;
  readonly #done = new Map<string, number>();
  readonly #onInstalled: () => void;
  #wasInstalled = false;

  constructor(phone: Phone, onInstalled: () => void) {
    this.#phone = phone;
    this.#onInstalled = onInstalled;
    onClick(
      find<HTMLButtonElement>(this.element, 'button[name=base]'),
      () => phone.client.installBase(),
      (message) => {
        find(this.element, '[data-show=model-error]').textContent = message;
      },
    );
  }

  onProgress({ sha256 }: FileMessage, doneBytes: number): void {
    this.#done.set(sha256, doneBytes);
    void this.show();
  }

  async show(): Promise<void> {
    const { client } = this.#phone;
    const adapter = await client.adapter(PLACES[this.#phone.place()].mode);
    const base = await client.base();
    const isInstalled = base?.isInstalled ?? false;
    find(this.element, '[data-show=adapter]').textContent =
      adapter === null
        ? 'No adapter yet'
        : `Adapter ${adapter.version}, ${MADE[adapter.origin] ?? adapter.origin}`;
    this.element.dataset.version = String(adapter?.version ?? 0);
    this.element.dataset.base = String(isInstalled);
    const model = find(this.element, '[data-show=model]');
    model.hidden = !isInstalled;
    model.textContent = 'Model installed';
    const button = find<HTMLButtonElement>(this.element, 'button[name=base]');
    button.hidden = base !== null && base.failure === null;
    if (base?.failure) find(this.element, '[data-show=model-error]').textContent = base.failure;
    this.#showDownload(isInstalled ? [] : (base?.files ?? []));
    if (isInstalled && !this.#wasInstalled) this.#onInstalled();
    this.#wasInstalled = isInstalled;
  }

  #showDownload(files: readonly FileMessage[]): void {
    const all = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const done = files.reduce((sum, { sha256 }) => sum + (this.#done.get(sha256) ?? 0), 0);
    const bar = find<HTMLProgressElement>(this.element, '[data-show=download]');
    bar.hidden = all === 0;
    bar.max = Math.max(1, all);
    bar.value = done;
    find(this.element, '[data-show=downloaded]').textContent =
      all === 0 ? '' : `Downloading the model: ${sizeText(done)} of ${sizeText(all)}`;
  }
}
