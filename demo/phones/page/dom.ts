/** The element that the selector finds; there must be one. */
export function find<T extends Element = HTMLElement>(within: Element, selector: string): T {
  const found = within.querySelector<T>(selector);
  if (found === null) throw new Error(`the page has no ${selector}`);
  return found;
}

/** The first element of this HTML, which must not hold anything that a user wrote. */
export function elementOf(html: string): HTMLElement {
  const template = document.createElement('template');
  template.innerHTML = html.trim();
  return template.content.firstElementChild as HTMLElement;
}

/** Runs the task at each click of the button, which rests meanwhile; `onError` shows what went wrong. */
export function onClick(
  button: HTMLButtonElement,
  task: () => Promise<void>,
  onError: (message: string) => void,
): void {
  button.addEventListener('click', () => {
    button.disabled = true;
    onError('');
    void task()
      .catch((error: unknown) => onError(messageOf(error)))
      .finally(() => {
        button.disabled = false;
      });
  });
}

/** An error in the words of whoever threw it. */
export function messageOf(error: unknown): string {
  const code = String((error as { readonly code?: unknown } | null)?.code);
  if (code === 'OFFLINE' || code.startsWith('HTTP_5')) return 'the server cannot be reached';
  return error instanceof Error ? error.message : String(error);
}

/** A number of bytes as people read it. */
export function sizeText(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
