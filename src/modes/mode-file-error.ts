/** A mode or source file that stops the start: its message is `file:line: reason`. */
export class ModeFileError extends Error {
  override name = 'ModeFileError';
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly reason: string;

  constructor(reason: string, place: { file: string; line: number; cause?: unknown }) {
    super(`${place.file}:${place.line}: ${reason}`, { cause: place.cause });
    this.file = place.file;
    this.line = place.line;
    this.reason = reason;
  }
}
