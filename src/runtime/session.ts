// The server's door to onnxruntime. Models come in as files or bytes; what is in them is not known here.

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { reasonOf, type Session, wrapSession } from './ort-session.ts';

/** How a session runs. */
export interface SessionOptions {
  /** Threads within an operator (default 1). */
  readonly threads?: number;
  /** How long idle threads spin for the next operator before they sleep (default 0). The pause between two operators is a few
   *  microseconds, and waking a thread takes longer. */
  readonly spinMicroseconds?: number;
  /** Keep freed memory for the next run (default true); false saves about 30% while training. */
  readonly arena?: boolean;
  /** Plan the memory of a run from the run before with the same shapes (default true); false saves about 40% while training
   *  with free dimensions, and costs no time there. */
  readonly memoryPattern?: boolean;
  /** How much onnxruntime rewrites the graph (default 'all'). */
  readonly graphOptimization?: 'disabled' | 'basic' | 'extended' | 'all';
  /** Folder of the weight files of a model given as bytes; a model file's own folder is used otherwise. */
  readonly externalDataFolder?: string;
  /** Write what each operator cost to a JSON file of this path prefix when the session closes. */
  readonly profilePrefix?: string;
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
    return wrapSession(session, Tensor, options.profilePrefix !== undefined);
  } catch (cause) {
    const what = typeof model === 'string' ? model : `${model.byteLength} bytes`;
    throw new Error(`cannot open model ${what}: ${reasonOf(cause)}`, { cause });
  }
}

function toOrtOptions(options: SessionOptions): InferenceSession.SessionOptions {
  const { threads = 1, spinMicroseconds = 0, arena = true, memoryPattern = true } = options;
  const { graphOptimization = 'all', externalDataFolder, profilePrefix } = options;
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
        intra_op: {
          allow_spinning: spinMicroseconds > 0 ? '1' : '0',
          spin_duration_us: String(spinMicroseconds),
        },
        ...(externalDataFolder && {
          model_external_initializers_file_folder_path: externalDataFolder,
        }),
      },
    },
  };
}
