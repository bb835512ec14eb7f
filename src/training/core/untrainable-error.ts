/** The run cannot end well, and the reason is the data's or the recipe's: trying again gives the same. */
export class UntrainableError extends Error {
  override readonly name = 'UntrainableError';
}
