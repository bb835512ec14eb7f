import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The path of a file or folder that comes with the program but is no code: `models/tiny`, `modes`, `package.json`. The code
 *  may lie beside them, or in a folder of its own once it is compiled. */
export function projectFile(name: string): string {
  let folder = import.meta.dirname;
  // ends at the latest where there is nothing above
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder))
    folder = dirname(folder);
  return join(folder, name);
}
