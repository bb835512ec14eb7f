import { readFile } from 'node:fs/promises';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { StartError } from '../lib/start-error.ts';
import { openReceipt } from './receipt.ts';

/** What the receipt in a file says, as lines to print. Throws StartError when it is not whole, or not signed by `keyId`. */
export async function verifyReceipt(file: string, keyId?: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(nullIfMissing);
  if (text === null) throw new StartError(`There is no file ${file}.`);
  const opened = open(text, file);
  if (keyId !== undefined && keyId !== opened.keyId)
    throw new StartError(`${file} is signed by ${opened.keyId}, not by ${keyId}.`);
  const remark = keyId === undefined ? ': compare it with the key of the server' : '';
  return `The receipt is whole, signed by ${opened.keyId}${remark}.\n${JSON.stringify(opened.erasure, null, 2)}\n`;
}

function open(text: string, file: string) {
  try {
    return openReceipt(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(`${file} is not a true receipt: ${reason}.`, { cause });
  }
}
