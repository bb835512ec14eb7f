import type { MetadataValue } from '@huggingface/gguf';
import { badFile } from '../bad-file.ts';
import type { GgufFile } from './gguf-file.ts';

/** Reads a GGUF file's metadata with checks; every method throws BAD_INPUT naming file, key and value. */
export class GgufMetadata {
  readonly #file: GgufFile;

  constructor(file: GgufFile) {
    this.#file = file;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#file.metadata, key);
  }

  number(key: string, fallback?: number): number {
    const value = this.#value(key, fallback);
    if (typeof value === 'number' || typeof value === 'bigint') return Number(value);
    return this.refuse(key, 'a number');
  }

  string(key: string, fallback?: string): string {
    const value = this.#value(key, fallback);
    return typeof value === 'string' ? value : this.refuse(key, 'a string');
  }

  strings(key: string): readonly string[] {
    const value = this.#value(key);
    const isList = Array.isArray(value) && value.every((item) => typeof item === 'string');
    return isList ? (value as string[]) : this.refuse(key, 'a list of strings');
  }

  numbers(key: string): readonly number[] {
    const value = this.#value(key);
    const isList = Array.isArray(value) && value.every((item) => typeof item === 'number');
    return isList ? (value as number[]) : this.refuse(key, 'a list of numbers');
  }

  refuse(key: string, expected: string): never {
    const value = this.has(key) ? String(this.#file.metadata[key]).slice(0, 80) : 'missing';
    throw badFile(`${this.#file.path}: ${key} is ${value}, expected ${expected}`);
  }

  #value(key: string, fallback?: MetadataValue): MetadataValue | undefined {
    return this.has(key) ? this.#file.metadata[key] : fallback;
  }
}
