import {
  inputObjectType,
  list,
  mutationField,
  nonNull,
  objectType,
  subscriptionField,
  unionType,
} from 'nexus';
import { cancellable } from '../src/lib/cancellable.ts';
import { toGlobalId } from '../src/lib/global-id.ts';
import { parseCompleteInput } from './parse-complete-input.ts';

/** Which adapter shall answer. */
export const AdapterChoiceInput = inputObjectType({
  name: 'AdapterChoiceInput',
  description: 'Exactly one field.',
  definition(t) {
    t.string('sha256', { description: "The viewer's newest adapter with these bytes." });
    t.id('heldByDevice', {
      description: 'A deviceId: the adapter that device last acknowledged as installed.',
    });
    t.boolean('base', { description: 'True: the bare base model.' });
  },
});

/** What to answer, and how. */
export const CompleteInput = inputObjectType({
  name: 'CompleteInput',
  description: 'What to answer, with what, and how.',
  definition(t) {
    t.id('clientId', {
      description:
        "The caller's own id: repeating it returns the first completion instead of a second one.",
    });
    t.nonNull.string('mode');
    t.nonNull.field('input', {
      type: 'JSON',
      description:
        'The mode\'s own input, fed to its prompt template (for example {"body": "..."}).',
    });
    t.field('adapter', {
      type: AdapterChoiceInput,
      description:
        "Default: the user's live adapter. Pin the bytes a device holds with sha256, or ask for the bare base model.",
    });
    t.int('maxTokens', {
      default: 128,
      description: "1 or more; the mode's own limit is never exceeded.",
    });
    t.float('temperature', { default: 0, description: '0: greedy, and then repeatable.' });
    t.float('topP', { default: 1, description: 'Above 0, at most 1.' });
    t.int('seed', { description: 'The same seed gives the same answer.' });
    t.field('stop', {
      type: list(nonNull('String')),
      description: 'The answer ends before the first of these; at most 16 of 100 characters.',
    });
    t.int('topLogprobs', {
      description:
        'Fill in `logprobs` with so many of the likeliest tokens at each place, 0 to 20; null: not at all.',
    });
    t.int('deadlineMs', {
      description:
        'The answer has so many milliseconds. What has begun by then ends as CANCELLED with what there is; what has not is OVERLOADED.',
    });
  },
});

/** Answers in one piece. */
export const completeMutation = mutationField('complete', {
  type: 'Completion',
  description: 'Answers an input with the adapter that the user has now, or the one asked for.',
  args: { input: nonNull(CompleteInput) },
  resolve: async (_, { input }, { services, viewer, signal, spendTokens }) => {
    const question = parseCompleteInput(input, services.catalog);
    await spendTokens(question.maxTokens);
    return services.answers.complete(viewer.id, question, signal);
  },
});

/** A piece of an answer. */
export const CompletionChunk = objectType({
  name: 'CompletionChunk',
  description: 'A piece of an answer; the pieces joined are its text.',
  definition(t) {
    t.id('completionId', {
      resolve: ({ completionId }) => toGlobalId('Completion', completionId),
    });
    t.int('index', { description: 'Position of this chunk, from 0.' });
    t.string('text');
  },
});

/** The end of an answer. */
export const CompletionDone = objectType({
  name: 'CompletionDone',
  description: 'The end of an answer, and the answer as it is stored.',
  definition(t) {
    t.field('completion', { type: 'Completion' });
  },
});

/** What a streamed answer consists of. */
export const CompletionEvent = unionType({
  name: 'CompletionEvent',
  description: 'Chunks, then the end.',
  resolveType: ({ kind }) => (kind === 'chunk' ? 'CompletionChunk' : 'CompletionDone'),
  definition(t) {
    t.members(CompletionChunk, CompletionDone);
  },
});

/** Answers piece by piece. */
export const completionTokens = subscriptionField('completionTokens', {
  type: CompletionEvent,
  description: 'Answers as `complete` does, piece by piece; ending it early stops the answer.',
  args: { input: nonNull(CompleteInput) },
  subscribe: async (_, { input }, { services, viewer, signal, spendTokens }) => {
    const question = parseCompleteInput(input, services.catalog);
    await spendTokens(question.maxTokens);
    return cancellable((ended) => services.answers.stream(viewer.id, question, ended), signal);
  },
  resolve: (event) => event,
});
