import {
  enumType,
  inputObjectType,
  list,
  mutationField,
  nonNull,
  nullable,
  objectType,
} from 'nexus';
import { rateAnswer } from '../src/answers/rate-answer.ts';
import { reportCompletion } from '../src/feedback/report-completion.ts';
import { connectionOf } from './connection.ts';
import { loadIf } from './loaders.ts';
import { globalId, ownId } from './node.ts';
import { inOwnName } from './own-name.ts';

/** Why an answer ended. */
export const FinishReason = enumType({
  name: 'FinishReason',
  description:
    'Why an answer ended: by itself, at a limit of its length, or because nobody waited for it.',
  members: ['STOP', 'LENGTH', 'CANCELLED'],
});

/** A thumb. */
export const Verdict = enumType({
  name: 'Verdict',
  description: 'What the user thought of an answer.',
  members: ['UP', 'DOWN'],
});

/** What the user thought of an answer. */
export const Rating = objectType({
  name: 'Rating',
  description: 'What the user thought of an answer, and would rather have had.',
  definition(t) {
    t.field('verdict', { type: nullable(Verdict) });
    t.nullable.string('better', { description: 'What the user would rather have had.' });
    t.field('ratedAt', { type: 'DateTime' });
  },
});

const TOKEN_TEXT =
  'Its text by itself: part of a character shows as U+FFFD, an end token as nothing.';
const LOGPROB =
  'Natural logarithm of its probability: the softmax of the logits, before temperature and topP.';

/** A token that might have stood at some place. */
export const TopLogprob = objectType({
  name: 'TopLogprob',
  description: 'A token that the model might have written at some place.',
  definition(t) {
    t.string('token', {
      description: TOKEN_TEXT,
    });
    t.float('logprob', {
      description: LOGPROB,
    });
  },
});

/** A token that was written. */
export const TokenLogprob = objectType({
  name: 'TokenLogprob',
  description: 'A token of an answer and how likely the model found it.',
  definition(t) {
    t.string('token', {
      description: TOKEN_TEXT,
    });
    t.float('logprob', {
      description: LOGPROB,
    });
    t.list.field('topLogprobs', {
      type: TopLogprob,
      description: 'The likeliest tokens at this place, the likeliest first; as many as asked for.',
    });
  },
});

/** One answer. */
export const Completion = objectType({
  name: 'Completion',
  description: 'One answer, of the server or of a device.',
  definition(t) {
    t.implements('Node');
    t.id('id', { resolve: globalId('Completion') });
    t.field('mode', {
      type: 'Mode',
      resolve: ({ mode }, _, { services }) => services.catalog.mode(mode),
    });
    t.field('input', {
      type: nullable('JSON'),
      description: 'Null when completions are not stored.',
    });
    t.string('text');
    t.field('adapter', {
      type: nullable('Adapter'),
      description: 'Exactly what answered; null: the bare base model.',
      resolve: ({ adapterId }, _, { loaders }) => loadIf(loaders.adapter, adapterId),
    });
    t.nullable.int('dataThrough', {
      description: 'The answering adapter knew every change up to here; null: the bare base model.',
    });
    t.int('promptTokens');
    t.int('completionTokens');
    t.field('finishReason', { type: FinishReason });
    t.field('logprobs', {
      type: nullable(list(nonNull(TokenLogprob))),
      description:
        'Of each completion token; only in the response that made the answer and asked for them: they are not stored.',
    });
    t.field('rating', {
      type: nullable(Rating),
      resolve: ({ verdict, better, ratedAt }) => ratedAt && { verdict, better, ratedAt },
    });
    t.field('createdAt', { type: 'DateTime' });
  },
});

/** Pages of completions. */
export const CompletionConnection = connectionOf('Completion');

/** An answer that a device gave. */
export const ReportCompletionInput = inputObjectType({
  name: 'ReportCompletionInput',
  description: 'An answer that a device gave by itself.',
  definition(t) {
    t.nonNull.id('deviceId');
    t.nonNull.id('clientId', { description: "The device's own id of the answer." });
    t.nonNull.string('mode');
    t.nonNull.field('input', { type: 'JSON' });
    t.nonNull.string('text');
    t.id('adapterId', { description: 'The adapter that answered; null: the bare base model.' });
  },
});

/** Takes a device's answer. */
export const reportCompletionMutation = mutationField('reportCompletion', {
  type: Completion,
  description:
    'Records an answer that a device gave by itself, so that it can be rated. Safe to repeat.',
  args: { input: nonNull(ReportCompletionInput) },
  resolve: (_, { input }, context) =>
    reportCompletion(context.services, context.viewer.id, {
      ...inOwnName(context, input),
      adapterId: input.adapterId == null ? null : ownId('Adapter', input.adapterId, 'adapterId'),
    }),
});

/** A rating. */
export const RateCompletionInput = inputObjectType({
  name: 'RateCompletionInput',
  description: 'A rating of one answer: at least one of verdict, better and preferredCompletionId.',
  definition(t) {
    t.nonNull.id('completionId');
    t.field('verdict', { type: Verdict });
    t.string('better', { description: 'What the user would rather have had.' });
    t.id('preferredCompletionId', {
      description: 'Another completion of the same input that the user preferred (a swipe).',
    });
  },
});

/** Rates an answer. */
export const rateCompletionMutation = mutationField('rateCompletion', {
  type: Completion,
  description: 'Stores what the user thought of an answer; a new rating replaces the old one.',
  args: { input: nonNull(RateCompletionInput) },
  resolve: (_, { input }, { services, viewer }) =>
    rateAnswer(services, viewer.id, {
      ...input,
      completionId: ownId('Completion', input.completionId, 'completionId'),
      preferredCompletionId:
        input.preferredCompletionId &&
        ownId('Completion', input.preferredCompletionId, 'preferredCompletionId'),
    }),
});
