/** A mode that only devices train: nothing of the source `diary` may arrive. */
export const KEEPER = {
  key: 'diary',
  definition: { training: { where: 'device', sources: ['diary'] } },
  trainingFiles: [],
};
