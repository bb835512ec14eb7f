/** Messages quote what was given; nobody needs more of it than this. */
const MAX_CHARACTERS = 100;

/** A value as a message shows it: its JSON, cut short when it is long. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= MAX_CHARACTERS ? text : `${text.slice(0, MAX_CHARACTERS)}...`;
}
