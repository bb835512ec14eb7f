// Mails: typed in or imported, and how many of them are still on their way.

import { elementOf, find, onClick } from './dom.ts';
import { type Panel, type Phone, PLACES } from './phone.ts';

const HTML = `<section><h3>Mails</h3>
  <input type="text" name="subject" placeholder="Subject" aria-label="Subject">
  <textarea name="body" rows="2" placeholder="A mail that you wrote" aria-label="Mail"></textarea>
  <div class="row"><button name="save">Save mail</button>
    <button name="import" class="plain">Import sample mails</button></div>
  <p class="quiet" data-show="queue"></p>
  <progress data-show="upload" value="0" max="1" hidden></progress>
  <p class="error" data-show="mail-error"></p></section>`;

export class MailsPanel implements Panel {
  readonly element = elementOf(HTML);
  readonly #phone: Phone;
  /** How many there were to send when the last one came. */
  #toSend = 0;
  /** How many came since the page was opened that only this phone has. */
  #kept = 0;

  constructor(phone: Phone) {
    this.#phone = phone;
    const onError = (message: string) => {
      find(this.element, '[data-show=mail-error]').textContent = message;
    };
    const button = (name: string) => find<HTMLButtonElement>(this.element, `button[name=${name}]`);
    onClick(button('save'), () => this.#save(), onError);
    onClick(button('import'), () => this.#import(), onError);
  }

  async show(): Promise<void> {
    const waiting = await this.#phone.client.pendingCount();
    const mails = (count: number) => `${count} ${count === 1 ? 'mail' : 'mails'}`;
    const kept =
      this.#kept === 0
        ? 'Mails stay on this phone from now on.'
        : `${mails(this.#kept)} kept on this phone, and nowhere else.`;
    const done = this.#phone.place() === 'device' ? kept : 'Everything is sent.';
    find(this.element, '[data-show=queue]').textContent =
      waiting === 0 ? done : `${mails(waiting)} waiting to be sent.`;
    const bar = find<HTMLProgressElement>(this.element, '[data-show=upload]');
    bar.hidden = waiting === 0;
    bar.max = Math.max(this.#toSend, waiting);
    bar.value = bar.max - waiting;
  }

  async #save(): Promise<void> {
    const subject = find<HTMLInputElement>(this.element, '[name=subject]');
    const body = find<HTMLTextAreaElement>(this.element, '[name=body]');
    if (body.value.trim() === '') throw new Error('Write the mail first.');
    if (subject.value.trim() === '') throw new Error('Give it a subject: that is what is learnt.');
    const data = { to: ['someone@example.org'], subject: subject.value, body: body.value };
    await this.#push([
      { recordId: crypto.randomUUID(), data, occurredAt: new Date().toISOString() },
    ]);
    subject.value = '';
    body.value = '';
  }

  #import(): Promise<void> {
    return this.#push(this.#phone.mailbox);
  }

  async #push(
    mails: readonly Pick<Phone['mailbox'][number], 'recordId' | 'data' | 'occurredAt'>[],
  ): Promise<void> {
    const place = this.#phone.place();
    const { source } = PLACES[place];
    await this.#phone.client.push(
      mails.map(({ recordId, data, occurredAt }) => ({
        ...{ recordId, occurredAt, source, kind: 'UPSERT' as const },
        ...(data !== undefined && { data }),
      })),
    );
    if (place === 'device') this.#kept += mails.length;
    this.#toSend = await this.#phone.client.pendingCount();
    this.#phone.onMail();
    await this.show();
  }
}
