/** The server cannot start, for a reason that its user can mend: the message says what, on which value, and the remedy.
 *  It is shown without a stack. */
export class StartError extends Error {
  override readonly name = 'StartError';
}
