// A session over whichever onnxruntime it is given: -node, -web and -react-native have one interface.

import type {
  InferenceSession,
  InferenceSessionFactory,
  TensorConstructor,
} from 'onnxruntime-node';
import type { TensorData } from '../graph/dtype.ts';
import { must } from '../lib/errors.ts';
import { checkFeeds, type ValueInfo } from './check-feeds.ts';
import { dtypeOf, HostTensor, type MakeNative } from './host-tensor.ts';

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

/** What tensors of an engine are made with: its `Tensor` class. */
export type TensorClass = TensorConstructor;

/** What a device needs of onnxruntime: -web's, -node's and -react-native's modules have it. */
export interface Ort {
  readonly InferenceSession: InferenceSessionFactory;
  readonly Tensor: TensorConstructor;
}

/** A file by its place, for runtimes that open files themselves, or its bytes. */
export type FileContent = { readonly path: string } | { readonly bytes: Uint8Array };

/** A model and the one file that its weights are in. */
export interface ModelContent {
  readonly graph: FileContent;
  /** `name` is what the graph calls it. A path must lie in the graph's folder under that name. */
  readonly weights: { readonly name: string; readonly content: FileContent };
}

/** Opens a model with the engine that was handed in. Throws when the engine refuses it. */
export async function openOrtSession(
  ort: Ort,
  { graph, weights }: ModelContent,
  threads: number | undefined,
): Promise<Session> {
  const options: InferenceSession.SessionOptions = {
    graphOptimizationLevel: 'all',
    // every length of text is another shape, and each would keep a plan
    enableMemPattern: false,
    logSeverityLevel: 4,
    ...(threads !== undefined && { intraOpNumThreads: threads, interOpNumThreads: 1 }),
    ...('bytes' in weights.content && {
      externalData: [{ path: weights.name, data: weights.content.bytes }],
    }),
  };
  try {
    const session =
      'path' in graph
        ? await ort.InferenceSession.create(graph.path, options)
        : await ort.InferenceSession.create(graph.bytes, options);
    return wrapSession(session, ort.Tensor);
  } catch (cause) {
    throw new Error(`the model cannot be opened: ${reasonOf(cause)}`, { cause });
  }
}

type NativeTensor = InferenceSession.FeedsType[string];

/** Wraps an engine's session. `isProfiled`: it writes its profile when it is closed. */
export function wrapSession(
  session: InferenceSession,
  Tensor: TensorClass,
  isProfiled = false,
): Session {
  return new OrtSession(session, makerOf(Tensor), isProfiled);
}

/** One maker for each engine: tensors keep what it made of them. */
const makers = new WeakMap<TensorClass, MakeNative<NativeTensor>>();

function makerOf(Tensor: TensorClass): MakeNative<NativeTensor> {
  const known = makers.get(Tensor);
  if (known !== undefined) return known;
  const make: MakeNative<NativeTensor> = (ortType, data, dims) =>
    new Tensor(ortType as 'float32', data as Float32Array, dims);
  makers.set(Tensor, make);
  return make;
}

class OrtSession implements Session {
  readonly inputs: ReadonlyMap<string, ValueInfo>;
  readonly outputs: ReadonlyMap<string, ValueInfo>;
  readonly #session: InferenceSession;
  readonly #make: MakeNative<NativeTensor>;
  readonly #isProfiled: boolean;
  readonly #running = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor(session: InferenceSession, make: MakeNative<NativeTensor>, isProfiled: boolean) {
    this.#session = session;
    this.#make = make;
    this.#isProfiled = isProfiled;
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
    const running = this.#session.run(unwrapAll(feeds, this.#make), fetches);
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
    if (this.#isProfiled) this.#session.endProfiling();
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

function unwrapAll(
  feeds: Readonly<Record<string, HostTensor>>,
  make: MakeNative<NativeTensor>,
): InferenceSession.FeedsType {
  const unwrapped: Record<string, NativeTensor> = {};
  for (const name in feeds) unwrapped[name] = HostTensor.unwrap(must(feeds[name], name), make);
  return unwrapped;
}

function wrapAll(results: InferenceSession.ReturnType): Readonly<Record<string, HostTensor>> {
  return Object.fromEntries(
    Object.entries(results).map(([name, { type, data, dims }]) => [
      name,
      new HostTensor(dtypeOf(type), data as TensorData, dims),
    ]),
  );
}

/** What went wrong, of anything that can be thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
