import { AppError } from '../src/lib/errors.ts';
import { shown } from '../src/lib/shown.ts';
import type { Context } from './context.ts';

/** The input of a call in the name of a device. Throws FORBIDDEN when the token is another device's. */
export function inOwnName<Input extends { readonly deviceId: string }>(
  { deviceId }: Pick<Context, 'deviceId'>,
  input: Input,
): Input {
  if (deviceId === null || deviceId === input.deviceId) return input;
  const text = `The token is for the device ${shown(deviceId)}, not for ${shown(input.deviceId)}.`;
  throw new AppError('FORBIDDEN', text);
}
