// How a record becomes examples. Pure: the records that its prompts show are found by the caller.

import { contextFrom, type Finder, type LiveRecord } from '../../changes/core/find-records.ts';
import { distinctRefs, type RecordRef } from '../../changes/core/record-ref.ts';
import type { Split } from '../../db/dataset-tables.ts';
import { isBinary } from '../../lib/binary-text.ts';
import { canonicalJson, type Json } from '../../lib/canonical-json.ts';
import type { ChatMessage } from '../../lib/chat-message.ts';
import { textSha256 } from '../../lib/text-sha256.ts';
import type { ExampleMaker, ExampleRule } from '../../modes/mode.ts';
import { asAnswer } from '../../modes/output.ts';
import { inputKey, type Lookup, lookupsOf, renderPrompt } from '../../modes/prompt.ts';
import { TemplateError, type Variables } from '../../modes/template.ts';
import { cutTexts, isTarget, textsOf } from './clean.ts';
import { splitOf } from './split.ts';

/** What is learnt from: the target is to be written after the messages. */
export interface Example {
  readonly split: Split;
  readonly messages: readonly ChatMessage[];
  readonly target: string;
  /** SHA-256 over split, messages and target. */
  readonly sha256: string;
}

/** An example and where it comes from. */
export interface MadeExample extends Example {
  readonly record: RecordRef;
  /** Which of the mode's rules for the record's source made it. */
  readonly ordinal: number;
  /** `inputKey` of the input. */
  readonly inputSha256: string;
  /** Every record whose content it holds, its own first. */
  readonly records: readonly RecordRef[];
  readonly lookups: readonly { readonly source: string; readonly key: string }[];
}

/** An example whose prompt still lacks what it shows of other records. */
export interface ExampleDraft {
  readonly record: LiveRecord;
  readonly ordinal: number;
  readonly input: Json;
  readonly target: string;
  readonly lookups: readonly Lookup[];
}

/** The drafts of a record's examples; none for a source without rules, or a record unfit to learn from. */
export function draftsOf(mode: ExampleMaker, record: LiveRecord): readonly ExampleDraft[] {
  const rules = mode.examples.get(record.source) ?? [];
  return rules.flatMap((rule, ordinal) => {
    const made = applyRule(mode, rule, record.data);
    if (made === null) return [];
    return [{ record, ordinal, ...made, lookups: lookupsOf(mode, made.input) }];
  });
}

/** The inputs of which the mode can be asked about a record, whether or not there is an example to learn from yet. */
export function inputsOf(mode: ExampleMaker, record: LiveRecord): readonly Json[] {
  const rules = mode.examples.get(record.source) ?? [];
  const inputs = rules.map((rule) =>
    whereForeseen(() => inputOf(mode, rule, { record: record.data })),
  );
  return inputs.filter((input) => input !== null);
}

function applyRule(mode: ExampleMaker, rule: ExampleRule, data: Json) {
  const variables = { record: data };
  return whereForeseen(() => {
    if (!rule.when(variables)) return null;
    const input = inputOf(mode, rule, variables);
    const target = asAnswer(mode, rule.target.render(variables));
    const isFit = input !== null && !textsOf(input).some(isBinary);
    return isFit && target !== null && isTarget(target) ? { input, target } : null;
  });
}

/** Null where the mode does not take it. */
function inputOf(mode: ExampleMaker, rule: ExampleRule, variables: Variables): Json {
  const fields = Object.entries(rule.input).map(([name, t]) => [name, t.render(variables)]);
  const input: Json = Object.fromEntries(fields);
  return mode.checkInput(input) === null ? input : null;
}

function whereForeseen<T>(make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    // A record of a shape that the rule does not foresee teaches nothing; it must not stop all others.
    if (error instanceof TemplateError) return null;
    throw error;
  }
}

/** Completes a draft with what the finder finds. */
export function completeExample(
  mode: ExampleMaker,
  draft: ExampleDraft,
  find: Finder,
): MadeExample {
  const { record, ordinal, input, target, lookups } = draft;
  const context = contextFrom(lookups, find);
  const split = splitOf(record.source, record.recordId);
  const messages = renderPrompt(mode, cutTexts(input), cutFields(context.values));
  const own = { source: record.source, recordId: record.recordId };
  return {
    record: own,
    ordinal,
    split,
    messages,
    target,
    sha256: exampleSha256({ split, messages, target }),
    inputSha256: inputKey(input),
    records: distinctRefs([own, ...context.shown]),
    lookups: distinctLookups(lookups),
  };
}

function distinctLookups(lookups: readonly Lookup[]): MadeExample['lookups'] {
  const pairs = lookups.map(({ rule, key }) => ({ source: rule.source, key }));
  return [...new Map(pairs.map((pair) => [JSON.stringify(pair), pair])).values()];
}

function cutFields(values: Readonly<Record<string, Json>>): Readonly<Record<string, Json>> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, cutTexts(value)]));
}

/** SHA-256 over split, messages and target. */
export function exampleSha256({ split, messages, target }: Omit<Example, 'sha256'>): string {
  const prompt = messages.map(({ role, content }) => [role, content]);
  return textSha256(canonicalJson([split, prompt, target]));
}
