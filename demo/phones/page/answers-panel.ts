// The same question for this phone and for the cloud: answers side by side to swipe between, and what their user thinks.

import type { Answer } from '../../../src/client/client.ts';
import { AnswerCard } from './answer-card.ts';
import { elementOf, find, messageOf, onClick } from './dom.ts';
import { type Panel, type Phone, PLACES } from './phone.ts';

const HTML = `<section><h3>Ask for a subject line</h3>
  <textarea name="question" rows="3" aria-label="Mail without a subject"></textarea>
  <div class="row"><button name="ask">Ask phone and cloud</button>
    <button name="another" class="plain" hidden>Another one</button></div>
  <p class="error" data-show="ask-error"></p>
  <p class="quiet" data-show="voice"></p>
  <div class="swipe" data-show="answers" tabindex="0" aria-label="Answers"></div></section>`;

/** How wild another answer may be. */
const TEMPERATURE = 0.9;

export class AnswersPanel implements Panel {
  readonly element = elementOf(HTML);
  readonly #phone: Phone;
  #cards: AnswerCard[] = [];
  #asked = { mode: '', input: { body: '' } };

  constructor(phone: Phone) {
    this.#phone = phone;
    const last = phone.mailbox.at(-1)?.data as { readonly body?: string } | undefined;
    this.#question.value = last?.body ?? '';
    const onError = (message: string) => {
      find(this.element, '[data-show=ask-error]').textContent = message;
    };
    const button = (name: string) => find<HTMLButtonElement>(this.element, `button[name=${name}]`);
    onClick(button('ask'), () => this.#ask(), onError);
    onClick(button('another'), () => this.#another(), onError);
  }

  show(): Promise<void> {
    return Promise.resolve();
  }

  get #question(): HTMLTextAreaElement {
    return find<HTMLTextAreaElement>(this.element, '[name=question]');
  }

  async #ask(): Promise<void> {
    const body = this.#question.value;
    if (body.trim() === '') throw new Error('Write the mail first.');
    const { mode } = PLACES[this.#phone.place()];
    this.#asked = { mode, input: { body } };
    this.#cards = [];
    find(this.element, '[data-show=answers]').replaceChildren();
    await this.#answer({ where: 'auto' });
    await this.#answer({ where: 'cloud' });
    const [first, second] = this.#cards.map(({ answer }) => answer);
    const isOneVoice = first?.origin === 'DEVICE' && second && first.text === second.text;
    find(this.element, '[data-show=voice]').textContent = isOneVoice
      ? 'Phone and cloud say the same: one adapter, one voice.'
      : '';
    find(this.element, '[name=another]').hidden = this.#cards.length === 0;
  }

  #another(): Promise<void> {
    const seed = Math.floor(Math.random() * 2 ** 31);
    return this.#answer({ where: 'auto', temperature: TEMPERATURE, seed });
  }

  async #answer(how: {
    readonly where: 'auto' | 'cloud';
    readonly temperature?: number;
    readonly seed?: number;
  }): Promise<void> {
    const place = find(this.element, '[data-show=answers]');
    const card = new AnswerCard(
      { client: this.#phone.client, isPrivate: this.#asked.mode === PLACES.device.mode },
      (chosen) => this.#prefer(chosen),
    );
    place.append(card.element);
    if (how.temperature !== undefined)
      card.element.scrollIntoView({ behavior: 'smooth', block: 'nearest', inline: 'center' });
    const request = { ...this.#asked, ...how };
    try {
      card.fill(await this.#phone.client.complete(request, { onText: (text) => card.add(text) }));
      this.#cards.push(card);
    } catch (error) {
      card.fail(`No answer: ${messageOf(error)}.`);
    }
    for (const one of this.#cards) one.canBePreferred = this.#others(one).length > 0;
  }

  /** The answers with another text, over which one may be preferred. */
  #others({ answer }: AnswerCard): readonly AnswerCard[] {
    return this.#cards.filter((one) => one.answer?.text !== answer?.text && one.canBeRated);
  }

  async #prefer(chosen: AnswerCard): Promise<void> {
    const preferred = chosen.answer as Answer;
    for (const other of this.#others(chosen)) await other.rate({ preferred });
    for (const one of this.#cards) one.isPreferred = one === chosen;
  }
}
