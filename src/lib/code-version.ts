import { readFileSync } from 'node:fs';
import { projectFile } from './project-file.ts';

interface Package {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

const file = readFileSync(projectFile('package.json'), 'utf8');
const { version, dependencies } = JSON.parse(file) as Package;

/** What an adapter's bytes depend on besides data, recipe and kind of processor: our version, and ONNX Runtime's as the
 *  build metadata of it (semver 2.0.0, section 10). */
export const CODE_VERSION = `${version}+onnxruntime-node.${dependencies['onnxruntime-node']}`;
