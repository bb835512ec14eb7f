import { DTYPES } from '../dtype.ts';
import type { Tensor } from '../ir.ts';
import { staticShape } from '../tensor.ts';
import type { TensorProto } from './proto.ts';

/** TensorProto.DataLocation.EXTERNAL */
const EXTERNAL = 1;

/** A constant or a weight as it stands in the file; without a name. */
export function constantProto({ dtype, shape, origin }: Tensor): TensorProto {
  const { onnxCode: dataType, sizeBytes } = DTYPES[dtype];
  const dims = staticShape(shape);
  if (origin.kind === 'constant') {
    const { buffer, byteOffset, byteLength } = origin.data;
    return { dims, dataType, rawData: new Uint8Array(buffer, byteOffset, byteLength) };
  }
  if (origin.kind !== 'weight')
    throw new Error(`${origin.kind} is neither a constant nor a weight`);
  const externalData = [
    { key: 'location', value: origin.file },
    { key: 'offset', value: String(origin.byteOffset) },
    { key: 'length', value: String(dims.reduce((product, dim) => product * dim, sizeBytes)) },
  ];
  return { dims, dataType, externalData, dataLocation: EXTERNAL };
}
