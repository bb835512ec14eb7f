// Dimensions that may be unknown until a graph runs. A symbolic dimension is a polynomial with whole, positive
// coefficients, written in one canonical way, so that equal dimensions are equal strings: 'B', '3*S', 'B*S', '1+S+T'.

/** A number of elements, or a canonical expression such as `'B'`, `'3*S'`, `'S+T'`. */
export type Dim = number | string;

/** The dimensions of a tensor, outermost first; `[]` is a scalar. */
export type Shape = readonly Dim[];

/** Coefficient of each product of symbols; the constant term has key `''`. */
type Polynomial = ReadonlyMap<string, number>;

const SYMBOL = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The dimension in canonical form; throws for anything that is no whole number >= 0 or no sum of products of symbols. */
export function canonicalDim(dim: Dim): Dim {
  return format(parse(dim));
}

/** The products whose sum a dimension is; a known dimension is one product of no symbols. */
export function dimTerms(
  dim: Dim,
): readonly { readonly count: number; readonly symbols: readonly string[] }[] {
  return [...parse(dim)].map(([symbols, count]) => ({ count, symbols: splitSymbols(symbols) }));
}

/** True for a single symbol, such as 'B'. */
export function isSymbol(dim: Dim): dim is string {
  return typeof dim === 'string' && SYMBOL.test(dim);
}

/** a + b. */
export function addDims(a: Dim, b: Dim): Dim {
  const sum = new Map(parse(a));
  for (const [symbols, count] of parse(b)) sum.set(symbols, (sum.get(symbols) ?? 0) + count);
  return format(sum);
}

/** a * b. */
export function multiplyDims(a: Dim, b: Dim): Dim {
  const product = new Map<string, number>();
  for (const [left, n] of parse(a)) {
    for (const [right, m] of parse(b)) {
      const symbols = joinSymbols([...splitSymbols(left), ...splitSymbols(right)]);
      product.set(symbols, (product.get(symbols) ?? 0) + n * m);
    }
  }
  return format(product);
}

/** a / b where it is exact for every value of the symbols, else null. `b` must be a number or one product, unless a = b. */
export function divideDims(a: Dim, b: Dim): Dim | null {
  if (canonicalDim(a) === canonicalDim(b)) return 1;
  const divisor = [...parse(b)];
  const [term] = divisor;
  if (term === undefined || divisor.length > 1) return null;
  const quotient = new Map<string, number>();
  for (const [symbols, count] of parse(a)) {
    const rest = removeSymbols(splitSymbols(symbols), splitSymbols(term[0]));
    if (rest === null || count % term[1] !== 0) return null;
    quotient.set(joinSymbols(rest), count / term[1]);
  }
  return format(quotient);
}

/** The number of elements of a shape: the product of its dimensions. */
export function elementCount(shape: Shape): Dim {
  return shape.reduce<Dim>(multiplyDims, 1);
}

/** True when both shapes are equal for every value of the symbols. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** `[B, S, 64]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

function parse(dim: Dim): Polynomial {
  if (typeof dim === 'number') {
    if (!Number.isSafeInteger(dim) || dim < 0) {
      throw new RangeError(`dimension ${dim} is not a whole number >= 0`);
    }
    return new Map(dim === 0 ? [] : [['', dim]]);
  }
  const polynomial = new Map<string, number>();
  for (const text of dim.split('+')) {
    const [symbols, count] = parseTerm(text, dim);
    polynomial.set(symbols, (polynomial.get(symbols) ?? 0) + count);
  }
  return polynomial;
}

function parseTerm(text: string, dim: string): [symbols: string, count: number] {
  const factors = text.split('*');
  const numbers = factors.filter((factor) => /^[0-9]+$/.test(factor));
  const symbols = factors.filter((factor) => SYMBOL.test(factor));
  if (numbers.length + symbols.length !== factors.length) {
    throw new RangeError(
      `dimension '${dim}' is not a sum of products of symbols, such as 'B' or '3*S'`,
    );
  }
  return [joinSymbols(symbols), numbers.reduce((product, n) => product * Number(n), 1)];
}

function format(polynomial: Polynomial): Dim {
  const terms = [...polynomial]
    .filter(([, count]) => count !== 0)
    .sort(([a], [b]) => compare(a, b));
  const constant = polynomial.get('') ?? 0;
  if (terms.length === 0 || (terms.length === 1 && constant !== 0)) return constant;
  return terms
    .map(([symbols, count]) =>
      count === 1 && symbols ? symbols : [count, symbols].filter(Boolean).join('*'),
    )
    .join('+');
}

const splitSymbols = (symbols: string): string[] => (symbols === '' ? [] : symbols.split('*'));
const joinSymbols = (symbols: readonly string[]): string => [...symbols].sort(compare).join('*');
// Code-unit order: the same on every machine, unlike localeCompare.
const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

function removeSymbols(from: readonly string[], what: readonly string[]): string[] | null {
  const rest = [...from];
  for (const symbol of what) {
    const at = rest.indexOf(symbol);
    if (at < 0) return null;
    rest.splice(at, 1);
  }
  return rest;
}
