// Runs the base in this thread. In Node and React Native that is where it runs; in a browser inside a Worker only, since
// a step of the model blocks whatever else the thread has to do.

import type { AdapterImage } from '../../inference/core/adapter-image.ts';
import {
  type AdapterContent,
  type AnswerHooks,
  type DeviceAnswer,
  DeviceModel,
  type Ort,
} from '../../inference/core/device-model.ts';
import { must } from '../../lib/errors.ts';
import { Turns } from '../../lib/turns.ts';
import { compileTemplate, renderMessages } from '../../modes/template.ts';
import type { DeviceEngine, EngineBase, EnginePrompt, EngineQuestion } from './device-engine.ts';

/** Adapters in memory, ten megabytes each at rank 8 on the default base. */
const MAX_ADAPTERS = 4;

/** How an engine runs. */
export interface LocalEngineOptions {
  /** Threads of a native engine. onnxruntime-web's are `ort.env.wasm.numThreads`. */
  readonly threads?: number;
  readonly random?: () => number;
  /** Called between two steps of the model, so that others get the thread. */
  rest?(): Promise<void>;
}

/** Opens an engine on the given onnxruntime. */
export function openLocalEngine(ort: Ort, options: LocalEngineOptions = {}): DeviceEngine {
  return new LocalEngine(ort, options);
}

class LocalEngine implements DeviceEngine {
  readonly #ort: Ort;
  readonly #options: LocalEngineOptions;
  readonly #turns = new Turns();
  #model: DeviceModel | null = null;
  /** The least recently used first. */
  readonly #adapters = new Map<string, AdapterImage>();

  constructor(ort: Ort, options: LocalEngineOptions) {
    this.#ort = ort;
    this.#options = options;
  }

  open(base: EngineBase): Promise<void> {
    return this.#turns.take(async () => {
      await this.#free();
      const { graph, weights, ...texts } = base;
      const files = { ...texts, model: { graph, weights } };
      this.#model = await DeviceModel.open(this.#ort, files, this.#options);
    });
  }

  hasAdapter(sha256: string): Promise<boolean> {
    return Promise.resolve(this.#adapters.has(sha256));
  }

  putAdapter(sha256: string, content: AdapterContent): Promise<void> {
    return this.#turns.take(() => {
      const image = this.#opened().adapterImage(content);
      this.#adapters.set(sha256, image);
      const [oldest] = this.#adapters.keys();
      if (this.#adapters.size > MAX_ADAPTERS && oldest !== undefined) this.#adapters.delete(oldest);
      return Promise.resolve();
    });
  }

  answer(
    { prompt, adapter, ...generation }: EngineQuestion,
    hooks: Pick<AnswerHooks, 'onText' | 'signal'> = {},
  ): Promise<DeviceAnswer> {
    return this.#turns.take(() => {
      const { rest } = this.#options;
      const question = {
        ...generation,
        messages: messagesOf(prompt),
        adapter: adapter === null ? null : this.#use(adapter),
      };
      return this.#opened().answer(question, { ...hooks, ...(rest && { rest }) });
    });
  }

  close(): Promise<void> {
    return this.#turns.take(() => this.#free());
  }

  #opened(): DeviceModel {
    return must(this.#model, 'the engine was given a base');
  }

  #use(sha256: string): AdapterImage {
    const image = must(this.#adapters.get(sha256), `the engine was given adapter ${sha256}`);
    this.#adapters.delete(sha256);
    this.#adapters.set(sha256, image);
    return image;
  }

  async #free(): Promise<void> {
    this.#adapters.clear();
    const model = this.#model;
    this.#model = null;
    await model?.close();
  }
}

function messagesOf({ templates, variables }: EnginePrompt) {
  const compiled = templates.map(({ role, content }) => ({
    role,
    content: compileTemplate(content),
  }));
  return renderMessages(compiled, variables);
}
