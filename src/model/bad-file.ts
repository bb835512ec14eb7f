import { AppError } from '../lib/errors.ts';

/** The error for a model or adapter file that is not what it should be. The message starts with the file's name, says what
 *  was found, and what was expected. */
export function badFile(message: string, cause?: unknown): AppError {
  return new AppError('BAD_INPUT', message, { cause });
}
