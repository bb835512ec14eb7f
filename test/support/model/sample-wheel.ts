import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { sha256 } from '../../../src/lib/sha256.ts';
import type { PipCommand } from '../../../src/model/download/pip.ts';
import type { WheelModel } from '../../../src/model/download/wheel.ts';
import { encodeZip } from './zip-writer.ts';

/** A wheel around a GGUF file, and the description that pins both. */
export function sampleWheel(gguf: Uint8Array): {
  readonly bytes: Buffer;
  readonly model: WheelModel;
} {
  const ggufName = 'sample_model/sample.gguf';
  const bytes = encodeZip({ 'sample_model/__init__.py': Buffer.from('pass\n'), [ggufName]: gguf });
  const pin = (name: string, content: Uint8Array) => ({
    name,
    sizeBytes: content.length,
    sha256: sha256(content),
  });
  const wheel = pin('sample_model-1.0-py3-none-any.whl', bytes);
  const model = {
    name: 'Sample',
    requirement: 'sample-model==1.0',
    wheel,
    gguf: pin(ggufName, gguf),
  };
  return { bytes, model };
}

/** What the stand-in for pip does; see fake-pip.mjs. */
export interface FakePip {
  readonly report?: unknown;
  readonly wheel?: string;
  readonly noPip?: boolean;
  readonly hang?: boolean;
}

/** The command of a stand-in for pip, configured by a file at this path. */
export function fakePip(configPath: string, config: FakePip): PipCommand {
  writeFileSync(configPath, JSON.stringify(config));
  writeFileSync(`${configPath}.log`, '');
  return [process.execPath, fileURLToPath(new URL('./fake-pip.mjs', import.meta.url)), configPath];
}

/** The commands that the stand-in was given, in order. */
export function pipCalls(configPath: string): string[] {
  return readFileSync(`${configPath}.log`, 'utf8').split('\n').filter(Boolean);
}

/** What pip reports of a wheel at this address. */
export function pipReport(url: string, hash?: string): unknown {
  const hashes = hash === undefined ? {} : { sha256: hash };
  return { version: '1', install: [{ download_info: { url, archive_info: { hashes } } }] };
}
