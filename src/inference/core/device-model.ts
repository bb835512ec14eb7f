// A base on a device: one answer at a time, with the graph, tokenizer and templates that the server uses. The engine
// (onnxruntime-web, -node or -react-native) and the files are handed in. It knows nothing of storage, networks or users.

import { type AdapterContent, readAdapterContent } from '../../adapters/peft-content.ts';
import type { ChatMessage } from '../../lib/chat-message.ts';
import { must } from '../../lib/errors.ts';
import { type BaseTexts, parseBaseTexts } from '../../model/base/base-texts.ts';
import type { LlamaConfig } from '../../model/llama-config.ts';
import type { Tokenizer } from '../../model/tokenizer/tokenizer.ts';
import { type ModelContent, type Ort, openOrtSession } from '../../runtime/ort-session.ts';
import { type AdapterImage, adapterImage, zeroImage } from './adapter-image.ts';
import { type Generation, roomFor } from './generation.ts';
import { bucketOf, KvBlock } from './kv-block.ts';
import type { TokenLogprob } from './logprobs.ts';
import { ModelRunner } from './model-runner.ts';
import { OutputGuide } from './output-guide.ts';
import { Sequence } from './sequence.ts';
import { Vocabulary } from './vocabulary.ts';

export type { AdapterContent, Ort };

/** A base's files, as a device has them. */
export interface DeviceBaseFiles extends BaseTexts {
  /** The base's hash, which adapters name. */
  readonly sha256: string;
  readonly model: ModelContent;
}

/** What to say, and how. */
export interface DeviceQuestion extends Omit<Generation, 'promptIds'> {
  readonly messages: readonly ChatMessage[];
  /** Null: the bare base. */
  readonly adapter: AdapterImage | null;
}

/** What was said. */
export interface DeviceAnswer {
  readonly text: string;
  readonly finishReason: 'STOP' | 'LENGTH';
  readonly promptTokens: number;
  /** Tokens that the model wrote, an end token included. */
  readonly completionTokens: number;
  /** Of each of them, where it was asked for. */
  readonly logprobs: readonly TokenLogprob[] | null;
}

/** How an answer is given. */
export interface AnswerHooks {
  /** Called with each piece of the text. */
  onText?(text: string): void;
  readonly signal?: AbortSignal;
  /** Lets others run between two steps of the model: whoever would abort, for one. */
  rest?(): Promise<void>;
}

/** A base that is open. It answers one question after the other. */
export class DeviceModel {
  readonly config: LlamaConfig;
  readonly tokenizer: Tokenizer;
  readonly #sha256: string;
  readonly #runner: ModelRunner;
  readonly #noAdapter: AdapterImage;
  readonly #randomSeed: () => number;
  #vocabulary: Vocabulary | null = null;

  private constructor(parts: {
    readonly config: LlamaConfig;
    readonly tokenizer: Tokenizer;
    readonly sha256: string;
    readonly runner: ModelRunner;
    readonly randomSeed: () => number;
  }) {
    this.config = parts.config;
    this.tokenizer = parts.tokenizer;
    this.#sha256 = parts.sha256;
    this.#runner = parts.runner;
    this.#noAdapter = zeroImage(parts.config);
    this.#randomSeed = parts.randomSeed;
  }

  /** Opens the base. `threads` counts those of a native engine; -web's are a setting of its own.
   *  Throws BAD_INPUT for files that are none of a base, and when the engine refuses the model. */
  static async open(
    ort: Ort,
    files: DeviceBaseFiles,
    { threads, random = Math.random }: { threads?: number; random?: () => number } = {},
  ): Promise<DeviceModel> {
    const { config, tokenizer } = parseBaseTexts(files);
    const session = await openOrtSession(ort, files.model, threads);
    const runner = new ModelRunner(session, config);
    const randomSeed = () => Math.floor(random() * 2 ** 31);
    return new DeviceModel({ config, tokenizer, sha256: files.sha256, runner, randomSeed });
  }

  /** The adapter in the form that questions take. Throws BAD_INPUT for one that is damaged or another base's. */
  adapterImage(content: AdapterContent): AdapterImage {
    const base = { sha256: this.#sha256, config: this.config };
    return adapterImage(this.config, readAdapterContent(content, base));
  }

  /** Answers. Throws BAD_INPUT when the prompt is too long, and the signal's reason. */
  async answer(question: DeviceQuestion, hooks: AnswerHooks = {}): Promise<DeviceAnswer> {
    const promptIds = this.tokenizer.encodeChat(question.messages, { addGenerationPrompt: true });
    const request = { ...question, promptIds };
    const maxTokens = Math.min(request.maxTokens, roomFor(request, this.config));
    const guide = this.#guideOf(question);
    const sequence = new Sequence({
      ...{ request, maxTokens, guide, tokenizer: this.tokenizer },
      adapter: question.adapter ?? this.#noAdapter,
      randomSeed: this.#randomSeed(),
    });
    const block = new KvBlock(this.config, bucketOf(promptIds.length + maxTokens));
    block.addRow();
    const { logprobs, ...said } = await this.#write(sequence, block, hooks);
    return {
      ...said,
      promptTokens: promptIds.length,
      completionTokens: sequence.tokenCount,
      logprobs: question.topLogprobs === undefined ? null : logprobs,
    };
  }

  /** Frees the model. */
  close(): Promise<void> {
    return this.#runner.close();
  }

  /** Runs a sequence to its end. */
  async #write(sequence: Sequence, block: KvBlock, hooks: AnswerHooks) {
    let text = '';
    const logprobs: TokenLogprob[] = [];
    for (;;) {
      hooks.signal?.throwIfAborted();
      const logits = await this.#step(sequence, block);
      if (logits !== null) {
        const step = sequence.choose(logits);
        text += step.text;
        if (step.text !== '') hooks.onText?.(step.text);
        if (step.logprob !== null) logprobs.push(step.logprob);
        if (step.finishReason !== null) return { text, logprobs, finishReason: step.finishReason };
      }
      await hooks.rest?.();
    }
  }

  #guideOf({ output }: DeviceQuestion): OutputGuide | null {
    if (output === undefined) return null;
    this.#vocabulary ??= new Vocabulary(this.tokenizer.vocabulary(), this.config.vocabSize);
    return new OutputGuide(this.#vocabulary, output);
  }

  /** Runs the next chunk of the prompt or the last token. Returns the logits that choose a token: f32[V] */
  async #step(sequence: Sequence, block: KvBlock): Promise<Float32Array | null> {
    const { past, isNextChosen, adapter } = sequence;
    const ids = sequence.nextIds();
    block.setBucket(bucketOf(past + ids.length));
    const batch = { block, lora: adapter.feeds, ids: [ids], past: [past] };
    const logits = await this.#runner.run(batch, isNextChosen);
    sequence.advance();
    return logits === null ? null : must(logits[0], 'logits of the only row');
  }
}
