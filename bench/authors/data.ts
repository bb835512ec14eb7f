// The writers' texts as examples of the mode `subject`, split by time: the past to learn from, the newest texts held out.

import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { sha256 } from '../../src/lib/sha256.ts';
import type { Tokenizer } from '../../src/model/tokenizer/tokenizer.ts';
import type { Mode } from '../../src/modes/mode.ts';
import { renderPrompt } from '../../src/modes/prompt.ts';
import { type TokenExample, tokenise } from '../../src/training/core/token-example.ts';

/** One line of the data file. */
interface Line {
  readonly author: string;
  /** Seconds since 1970. */
  readonly time: number;
  readonly subject: string;
  readonly body: string;
}

/** A writer's texts as tokens, each part in the order of its hashes. */
export interface Author {
  readonly name: string;
  readonly train: readonly TokenExample[];
  /** Newer than those of `train`. */
  readonly validation: readonly TokenExample[];
  /** The newest. */
  readonly holdout: readonly TokenExample[];
}

const HOLDOUT_SHARE = 0.2;
// of what is not held out
const VALIDATION_SHARE = 0.1;

/** Reads a gzipped file of lines `{author, time, subject, body}`. The authors come by name. */
export async function readAuthors(
  path: string,
  { mode, tokenizer, maxTokens }: { mode: Mode; tokenizer: Tokenizer; maxTokens: number },
): Promise<readonly Author[]> {
  const text = (await promisify(gunzip)(await readFile(path))).toString('utf8');
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
  const names = [...new Set(lines.map(({ author }) => author))].sort();
  const tokens = (part: readonly Line[]) =>
    tokenise(part.map(toExample(mode)), tokenizer, maxTokens);
  return names.map((name) => {
    const texts = lines.filter(({ author }) => author === name).sort((a, b) => a.time - b.time);
    const past = Math.round(texts.length * (1 - HOLDOUT_SHARE));
    const taught = Math.round(past * (1 - VALIDATION_SHARE));
    return {
      name,
      train: tokens(texts.slice(0, taught)).examples,
      validation: tokens(texts.slice(taught, past)).examples,
      holdout: tokens(texts.slice(past)).examples,
    };
  });
}

function toExample(mode: Mode) {
  return ({ author, time, subject, body }: Line) => ({
    messages: renderPrompt(mode, { body }, {}),
    target: subject,
    sha256: sha256(JSON.stringify([author, time, subject, body])),
  });
}

/** Texts of many writers: `count` of their train parts and a tenth as many of their validation parts, as many of each. */
export function mixed(authors: readonly Author[], count: number): Omit<Author, 'name' | 'holdout'> {
  const share = (part: 'train' | 'validation', total: number) =>
    authors.flatMap((author, i) => {
      // the rest of the division goes to the first ones
      const own = Math.floor(total / authors.length) + Number(i < total % authors.length);
      return author[part].slice(0, own);
    });
  return { train: share('train', count), validation: share('validation', count / 10) };
}
