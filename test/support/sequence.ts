// Which test files have a process of their own, and in which order all run. To load the program takes about as long as the tests
// of most files, so those go one after the other through processes that have it loaded.

import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that start programs, train, or run for long. */
export const APART = [
  'test/*.test.ts',
  ...[
    ...['flow', 'training', 'client', 'inference', 'privacy', 'demo', 'db', 'operations', 'jobs'],
    ...['docker', 'scripts', 'start', 'bench', 'examples', 'real-clients'],
  ].map((folder) => `test/${folder}/**/*.test.ts`),
];

const LONGEST = '/test/flow/';

/** Files of their own process first, the longest before all others: so none is left alone at the end, and the others, of which
 *  each must follow another one of its kind to be given a process that is there, follow each other. */
export class ApartFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification) => {
      if (moduleId.includes(LONGEST)) return 0;
      return project.name === 'apart' ? 1 : 2;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
