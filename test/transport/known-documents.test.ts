import { parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { KnownDocuments } from '../../src/transport/known-documents.ts';

const documentOf = (characters: number) => parse(`{ a${' '.repeat(characters - 5)} }`);

describe('the documents that a server remembers', () => {
  it('are found by the hash of their text until they are forgotten', () => {
    const known = new KnownDocuments();
    const document = documentOf(10);
    known.keep('a', document);
    expect([known.find('a'), known.find('b')]).toEqual([document, undefined]);
    expect(known.forget('a')).toBe(true);
    expect(known.find('a')).toBeUndefined();
  });

  it('come to a quarter of a megabyte; the one that was not asked for the longest goes first', () => {
    const known = new KnownDocuments();
    const hashes = ['a', 'b', 'c', 'd'];
    for (const hash of hashes) {
      known.keep(hash, documentOf(80 * 1024));
      known.find('a');
    }
    expect(hashes.filter((hash) => known.find(hash) !== undefined)).toEqual(['a', 'c', 'd']);
  });

  it('count once, however often they are kept', () => {
    const known = new KnownDocuments();
    const document = documentOf(100 * 1024);
    for (let n = 0; n < 5; n += 1) known.keep('a', document);
    known.keep('b', document);
    expect([known.find('a'), known.find('b')]).toEqual([document, document]);
  });

  it('never hold one that is too large by itself', () => {
    const known = new KnownDocuments();
    known.keep('a', documentOf(300 * 1024));
    expect(known.find('a')).toBeUndefined();
  });
});
