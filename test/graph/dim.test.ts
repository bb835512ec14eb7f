import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addDims,
  canonicalDim,
  type Dim,
  divideDims,
  elementCount,
  multiplyDims,
} from '../../src/graph/dim.ts';

const SIZES: Readonly<Record<string, number>> = { B: 3, S: 5, T: 7 };

/** What a dimension comes to when each symbol has its size. */
function valueAt(dim: Dim): number {
  const factor = (text: string): number => SIZES[text] ?? Number(text);
  return String(dim)
    .split('+')
    .map((term) => term.split('*').reduce((total, text) => total * factor(text), 1))
    .reduce((sum, term) => sum + term, 0);
}

const product = fc.array(fc.constantFrom('B', 'S', 'T', '1', '2', '6'), {
  minLength: 1,
  maxLength: 4,
});
const polynomial = fc
  .array(product, { minLength: 1, maxLength: 3 })
  .map((terms) => terms.map((factors) => factors.join('*')).join('+'));

describe('a symbolic dimension', () => {
  it('adds and multiplies as numbers do', () => {
    fc.assert(
      fc.property(polynomial, polynomial, (a, b) => {
        expect(valueAt(addDims(a, b))).toBe(valueAt(a) + valueAt(b));
        expect(valueAt(multiplyDims(a, b))).toBe(valueAt(a) * valueAt(b));
      }),
    );
  });

  it('has one spelling, whatever the order of its parts', () => {
    fc.assert(
      fc.property(polynomial, polynomial, (a, b) => {
        expect(addDims(a, b)).toBe(addDims(b, a));
        expect(multiplyDims(a, b)).toBe(multiplyDims(b, a));
        expect(canonicalDim(canonicalDim(a))).toBe(canonicalDim(a));
      }),
    );
  });

  it('divides by what it was multiplied with', () => {
    fc.assert(
      fc.property(polynomial, product, (a, factors) => {
        const b = factors.join('*');
        expect(divideDims(multiplyDims(a, b), b)).toBe(canonicalDim(a));
        expect(divideDims(a, a)).toBe(1);
      }),
    );
  });

  it.each([
    ['S', 'B'],
    ['3*S', 2],
    ['S+T', 'S'],
    ['S', 'S+T'],
    [7, 2],
  ])('%s divided by %s is not known to be whole', (a, b) => {
    expect(divideDims(a, b)).toBeNull();
  });

  it.each([
    ['S*3', '3*S'],
    ['T+S', 'S+T'],
    ['S+S', '2*S'],
    ['2*3', 6],
    ['0*S', 0],
    ['1+S+2', '3+S'],
  ])('%s is spelled %s', (given, canonical) => {
    expect(canonicalDim(given)).toBe(canonical);
  });

  it('counts the elements of a shape', () => {
    expect(elementCount(['B', 'S', 3, 64])).toBe('192*B*S');
    expect(elementCount([])).toBe(1);
    expect(elementCount([0, 'B'])).toBe(0);
  });

  it.each([-1, 1.5, Number.NaN, 'B-1', '', 'B*', '3x'])('refuses %s', (dim) => {
    expect(() => canonicalDim(dim)).toThrow(RangeError);
  });
});
