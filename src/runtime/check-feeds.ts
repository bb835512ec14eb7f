import type { Dim, Shape } from '../graph/dim.ts';
import type { DType } from '../graph/dtype.ts';
import type { HostTensor } from './host-tensor.ts';

/** What a session takes or gives under one name. Symbolic dimensions are equal within a run. */
export interface ValueInfo {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** The size of each symbol, and the feed that set it. */
type Bindings = Map<Dim, { readonly size: number; readonly by: string }>;

/** Throws TypeError unless `feeds` has exactly the declared names, each of the declared dtype and shape, symbols bound alike.
 *  The message names the input, what was expected and what was given. */
export function checkFeeds(
  inputs: ReadonlyMap<string, ValueInfo>,
  feeds: Readonly<Record<string, HostTensor>>,
): void {
  const bindings: Bindings = new Map();
  for (const [name, expected] of inputs) {
    const given = feeds[name];
    if (given === undefined) {
      throw new TypeError(`feed '${name}' is missing; expected ${describe(expected)}`);
    }
    const fault = findFault(name, expected, given, bindings);
    if (fault !== null) throw new TypeError(`feed '${name}' ${fault}`);
  }
  for (const name in feeds) {
    if (!inputs.has(name)) {
      throw new TypeError(
        `feed '${name}' is no input; inputs are ${[...inputs.keys()].join(', ')}`,
      );
    }
  }
}

function findFault(
  name: string,
  expected: ValueInfo,
  given: HostTensor,
  bindings: Bindings,
): string | null {
  if (given.dtype !== expected.dtype || given.dims.length !== expected.shape.length) {
    return misfit(expected, given);
  }
  for (const [axis, size] of given.dims.entries()) {
    const dim = expected.shape[axis] ?? size;
    if (dim === size) continue;
    if (typeof dim === 'number') return misfit(expected, given);
    const binding = bindings.get(dim);
    if (binding === undefined) bindings.set(dim, { size, by: name });
    else if (binding.size !== size) {
      return `${misfit(expected, given)}; ${dim} is ${binding.size} in feed '${binding.by}'`;
    }
  }
  return null;
}

const misfit = (expected: ValueInfo, { dtype, dims }: HostTensor): string =>
  `must be ${describe(expected)}, but is ${describe({ dtype, shape: dims })}`;

const describe = ({ dtype, shape }: ValueInfo): string => `${dtype}[${shape.join(', ')}]`;
