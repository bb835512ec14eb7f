// One answer, and what its user thinks of it: a thumb, a better text, or that it is the best one.

import type { Answer, AttuneClient, Rating } from '../../../src/client/client.ts';
import { elementOf, find, messageOf, onClick } from './dom.ts';

/** A thumb; turned over it is down. */
const THUMB = `<svg class="thumb" viewBox="0 0 24 24" aria-hidden="true"><path d="M2 10h4v11H2zM8 21V10l5-8c2 0 3 1.5 2.5 3.500L14.7 9H20c1.500 0 2.400 1.400 2 2.800l-2.100 7.500c-.3 1-1.200 1.700-2.200 1.700z"/></svg>`;

const HTML = `<div class="answer"><strong></strong>
  <p class="quiet" data-show="who"></p>
  <footer hidden>
    <button class="plain" name="up" aria-label="Good answer" aria-pressed="false">${THUMB}</button>
    <button class="plain" name="down" aria-label="Bad answer" aria-pressed="false">${THUMB}</button>
    <button class="plain" name="edit" aria-expanded="false">Better text</button>
    <button class="plain" name="prefer" aria-label="Prefer this one" aria-pressed="false" hidden>Prefer</button></footer>
  <form hidden><input type="text" name="better" aria-label="A better text"><button>Send</button></form>
  <p class="quiet" data-show="rated"></p></div>`;

export class AnswerCard {
  readonly element = elementOf(HTML);
  answer: Answer | null = null;
  readonly #client: AttuneClient;
  readonly #isPrivate: boolean;
  #rating: Rating = {};

  constructor(
    { client, isPrivate }: { client: AttuneClient; isPrivate: boolean },
    onPrefer: (card: AnswerCard) => Promise<void>,
  ) {
    this.#client = client;
    this.#isPrivate = isPrivate;
    this.element.dataset.state = 'coming';
    const onError = (message: string) => this.#say(message);
    const click = (name: string, task: () => Promise<void>) =>
      onClick(find<HTMLButtonElement>(this.element, `button[name=${name}]`), task, onError);
    click('up', () => this.rate({ verdict: 'UP' }));
    click('down', () => this.rate({ verdict: 'DOWN' }));
    click('prefer', () => onPrefer(this));
    click('edit', () => Promise.resolve(this.#edit()));
    find(this.element, 'form').addEventListener('submit', (event) => {
      event.preventDefault();
      const better = find<HTMLInputElement>(this.element, '[name=better]').value.trim();
      if (better !== '') void this.rate({ better }).catch((error) => onError(messageOf(error)));
    });
  }

  /** Shows a piece of an answer that is coming. */
  add(text: string): void {
    find(this.element, 'strong').textContent += text;
  }

  fill(answer: Answer): void {
    this.answer = answer;
    const who = answer.origin === 'DEVICE' ? 'This phone' : 'The cloud';
    const what =
      answer.adapter === null ? 'without an adapter' : `adapter ${answer.adapter.version}`;
    this.element.dataset.state = 'there';
    this.element.dataset.origin = answer.origin;
    find(this.element, 'strong').textContent = answer.text.trim() || '(an empty answer)';
    const where = this.canBeRated ? '' : '; it stays on this phone';
    find(this.element, '[data-show=who]').textContent = `${who}, ${what}${where}`;
    find(this.element, 'footer').hidden = !this.canBeRated;
  }

  fail(message: string): void {
    this.element.dataset.state = 'failed';
    find(this.element, 'strong').textContent = message;
  }

  /** Whether the server can hear what is thought of it: what a phone says in a mode that only phones train it never does. */
  get canBeRated(): boolean {
    return this.answer !== null && !(this.#isPrivate && this.answer.origin === 'DEVICE');
  }

  set canBePreferred(can: boolean) {
    find(this.element, '[name=prefer]').hidden = !can;
  }

  set isPreferred(is: boolean) {
    find(this.element, '[name=prefer]').ariaPressed = String(is);
    if (is) this.#say('Preferred.');
  }

  /** Adds to what was said of it before. */
  async rate(said: Rating): Promise<void> {
    const rating = { ...this.#rating, ...said };
    await this.#client.rate(this.answer as Answer, rating);
    this.#rating = rating;
    for (const [name, verdict] of [
      ['up', 'UP'],
      ['down', 'DOWN'],
    ])
      find(this.element, `[name=${name}]`).ariaPressed = String(rating.verdict === verdict);
    find(this.element, 'form').hidden = true;
    this.#say(rating.better === undefined ? 'Thank you.' : `Better: ${rating.better}`);
  }

  #edit(): void {
    const form = find(this.element, 'form');
    form.hidden = !form.hidden;
    find(this.element, '[name=edit]').ariaExpanded = String(!form.hidden);
    const field = find<HTMLInputElement>(this.element, '[name=better]');
    field.value ||= this.answer?.text.trim() ?? '';
    if (!form.hidden) field.focus();
  }

  #say(text: string): void {
    find(this.element, '[data-show=rated]').textContent = text;
  }
}
