// The one door to onnxruntime. Models come in as files or bytes; what is in them is not known here.

import { InferenceSession } from 'onnxruntime-node';
import { must } from '../lib/errors.ts';
import { checkFeeds, type ValueInfo } from './check-feeds.ts';
import { dtypeOf, HostTensor } from './host-tensor.ts';

/** How a session runs. */
export interface SessionOptions {
  /** Threads within an operator (default 1). */
  readonly threads?: number;
  /** Let idle threads spin between operators: faster, but an idle session then burns its cores (default false). */
  readonly spinning?: boolean;
  /** Keep freed memory for the next run (default true); false saves about 30% while training. */
  readonly arena?: boolean;
  /** Plan the memory of a run from the run before with the same shapes (default true); false saves about 40% while training
   *  with free dimensions, and costs no time there. */
  readonly memoryPattern?: boolean;
  /** Copy constant weights into the layout of the fastest products (default true). Without, they stay mapped from their file and
   *  are shared by sessions: half the memory and a faster start, for 3 to 5% of a large product's time. */
  readonly prepacking?: boolean;
  /** How much onnxruntime rewrites the graph (default 'all'). */
  readonly graphOptimization?: 'disabled' | 'basic' | 'extended' | 'all';
  /** Folder of the weight files of a model given as bytes; a model file's own folder is used otherwise. */
  readonly externalDataFolder?: string;
  /** Write what each operator cost to a JSON file of this path prefix when the session closes. */
  readonly profilePrefix?: string;
}

/** A model ready to run. */
export interface Session {
  readonly inputs: ReadonlyMap<string, ValueInfo>;
  readonly outputs: ReadonlyMap<string, ValueInfo>;
  /** Runs once and gives the fetched outputs (default: all), each in memory of its own. It blocks this thread while it computes.
   *  Throws TypeError for feeds or fetches that do not fit, before anything runs. */
  run(
    feeds: Readonly<Record<string, HostTensor>>,
    fetches?: readonly string[],
  ): Promise<Readonly<Record<string, HostTensor>>>;
  /** Waits for runs under way and frees the model. Closing twice is harmless; a run after it throws. */
  close(): Promise<void>;
}

/** Opens a model. Throws when onnxruntime refuses it, saying which model and why. */
export async function openSession(
  model: string | Uint8Array,
  options: SessionOptions = {},
): Promise<Session> {
  const ortOptions = toOrtOptions(options);
  try {
    const session =
      typeof model === 'string'
        ? await InferenceSession.create(model, ortOptions)
        : await InferenceSession.create(model, ortOptions);
    return new OrtSession(session, options.profilePrefix !== undefined);
  } catch (cause) {
    const what = typeof model === 'string' ? model : `${model.byteLength} bytes`;
    throw new Error(`cannot open model ${what}: ${reasonOf(cause)}`, { cause });
  }
}

function toOrtOptions(options: SessionOptions): InferenceSession.SessionOptions {
  const { threads = 1, spinning = false, arena = true, memoryPattern = true } = options;
  const { prepacking = true, graphOptimization = 'all' } = options;
  const { externalDataFolder, profilePrefix } = options;
  return {
    executionProviders: ['cpu'],
    executionMode: 'sequential',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    enableCpuMemArena: arena,
    enableMemPattern: memoryPattern,
    graphOptimizationLevel: graphOptimization,
    // Errors are thrown; printing them as well would only clutter the log.
    logSeverityLevel: 4,
    ...(profilePrefix && { enableProfiling: true, profileFilePrefix: profilePrefix }),
    extra: {
      session: {
        disable_prepacking: prepacking ? '0' : '1',
        intra_op: { allow_spinning: spinning ? '1' : '0' },
        ...(externalDataFolder && {
          model_external_initializers_file_folder_path: externalDataFolder,
        }),
      },
    },
  };
}

class OrtSession implements Session {
  readonly inputs: ReadonlyMap<string, ValueInfo>;
  readonly outputs: ReadonlyMap<string, ValueInfo>;
  readonly #session: InferenceSession;
  readonly #profiling: boolean;
  readonly #running = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor(session: InferenceSession, profiling: boolean) {
    this.#session = session;
    this.#profiling = profiling;
    this.inputs = valueInfos(session.inputMetadata);
    this.outputs = valueInfos(session.outputMetadata);
  }

  async run(
    feeds: Readonly<Record<string, HostTensor>>,
    fetches: readonly string[] = [...this.outputs.keys()],
  ): Promise<Readonly<Record<string, HostTensor>>> {
    if (this.#closed !== undefined) throw new Error('the session is closed');
    checkFeeds(this.inputs, feeds);
    const unknown = fetches.find((name) => !this.outputs.has(name));
    if (unknown !== undefined || fetches.length === 0) {
      const known = [...this.outputs.keys()].join(', ');
      throw new TypeError(`fetch '${unknown ?? ''}' is no output; outputs are ${known}`);
    }
    const running = this.#session.run(unwrapAll(feeds), fetches);
    this.#running.add(running);
    try {
      return wrapAll(await running);
    } catch (cause) {
      throw new Error(`the model did not run: ${reasonOf(cause)}`, { cause });
    } finally {
      this.#running.delete(running);
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#running);
    if (this.#profiling) this.#session.endProfiling();
    await this.#session.release();
  }
}

function valueInfos(
  metadata: readonly InferenceSession.ValueMetadata[],
): ReadonlyMap<string, ValueInfo> {
  return new Map(
    metadata.map((value) => {
      if (!value.isTensor) throw new TypeError(`'${value.name}' is no tensor`);
      return [value.name, { dtype: dtypeOf(value.type), shape: value.shape }];
    }),
  );
}

function unwrapAll(feeds: Readonly<Record<string, HostTensor>>): InferenceSession.FeedsType {
  const unwrapped: Record<string, InferenceSession.FeedsType[string]> = {};
  for (const name in feeds) unwrapped[name] = HostTensor.unwrap(must(feeds[name], name));
  return unwrapped;
}

function wrapAll(results: InferenceSession.ReturnType): Readonly<Record<string, HostTensor>> {
  return Object.fromEntries(
    Object.entries(results).map(([name, tensor]) => [name, HostTensor.wrap(tensor)]),
  );
}

const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
