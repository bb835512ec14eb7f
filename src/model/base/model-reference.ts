// The name of a model as a user gives it.

import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { AppError } from '../../lib/errors.ts';
import type { HubModel } from '../download/hub.ts';

/** Where a model is to come from. */
export type ModelReference =
  | { readonly kind: 'default' }
  | { readonly kind: 'tiny' }
  | { readonly kind: 'path'; readonly path: string }
  | ({ readonly kind: 'hub' } & HubModel);

const HUB_NAME = /^([\w-][\w.-]*\/[\w-][\w.-]*)(?:@([\w.-]+(?:\/[\w.-]+)*))?$/;

/** Parses 'default', 'tiny', a path to a GGUF file or a Hugging Face folder, or 'organisation/name[@revision]'.
 *  What exists on the disk is a path. Throws BAD_INPUT listing the forms. */
export function parseModelReference(text: string): ModelReference {
  if (text === 'default' || text === 'tiny') return { kind: text };
  if (text !== '' && existsSync(text)) return { kind: 'path', path: resolve(text) };
  const looksLikePath = isAbsolute(text) || /^\.{1,2}([/\\]|$)|\.gguf$/.test(text);
  const [, repo, revision = 'main'] = looksLikePath ? [] : (HUB_NAME.exec(text) ?? []);
  if (repo !== undefined) return { kind: 'hub', repo, revision };
  const fault = looksLikePath ? 'there is no such file or folder' : 'this is no name of a model';
  throw new AppError(
    'BAD_INPUT',
    `model ${JSON.stringify(text)}: ${fault}; expected 'default', 'tiny', the path of a GGUF file or of a Hugging Face folder, or organisation/name[@revision]`,
  );
}
