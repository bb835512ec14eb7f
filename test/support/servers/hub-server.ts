import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../../src/lib/sha256.ts';
import { type FileServer, startFileServer } from './file-server.ts';

/** The commit that every revision of the fake hub points at. */
export const COMMIT = 'c0ffee'.padEnd(40, '0');

/** Serves a folder as the model of this name, in the way of a Hugging Face hub: an answer for the revision, a list of the
 *  files (weights with their hashes), and the files. */
export async function startHubServer(repo: string, dir: string): Promise<FileServer> {
  const names = readdirSync(dir);
  const contents = new Map(names.map((name) => [name, readFileSync(join(dir, name))]));
  const tree = [...contents].map(([path, content]) => ({
    type: 'file',
    path,
    size: content.length,
    ...(path.endsWith('.safetensors')
      ? { lfs: { oid: sha256(content), size: content.length } }
      : {}),
  }));
  const info = { _id: '1', id: repo, sha: COMMIT, lastModified: '2020-01-01T00:00:00Z' };
  return await startFileServer({
    [`/api/models/${repo}/revision/main`]: Buffer.from(JSON.stringify(info)),
    [`/api/models/${repo}/tree/${COMMIT}`]: Buffer.from(JSON.stringify(tree)),
    ...Object.fromEntries(
      [...contents].map(([name, content]) => [`/${repo}/resolve/${COMMIT}/${name}`, content]),
    ),
  });
}
