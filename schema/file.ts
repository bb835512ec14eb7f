import { objectType } from 'nexus';
import type { StoredFile } from '../src/db/schema.ts';
import type { File as FileSource } from './source-types.ts';

/** A file that devices download. */
export const File = objectType({
  name: 'File',
  description: 'A file to download, named by the hash of its bytes.',
  definition(t) {
    t.string('name');
    t.string('url', {
      description:
        'Starts with a slash; relative to the server; needs the same token; supports GET, HEAD and Range.',
    });
    t.float('sizeBytes', { description: 'A whole number; Float because Int ends at 2 GiB.' });
    t.string('sha256');
  },
});

/** The files with the URLs under which the downloads router serves them. */
export function filesAt(folder: string, files: readonly StoredFile[]): FileSource[] {
  return files.map((file) => ({ ...file, url: `${folder}/${encodeURIComponent(file.name)}` }));
}
