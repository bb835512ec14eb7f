// Runs subscriptions. What an event looks like to those who ask the same of it is found out once for all of them: the phones
// of a user mostly are the same app, and hear of the same event at the same moment.

import {
  // biome-ignore lint/suspicious/noDeprecatedImports: only its form with positional arguments is deprecated
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  Kind,
  visit,
} from 'graphql';

type Result = ExecutionResult | Promise<ExecutionResult>;

/** What was found out of an event, by document and then by what else it depends on. An event is one user's, and those who
 *  get the same object may see all of it. */
const known = new WeakMap<object, Map<DocumentNode, Map<string, Result>>>();

/** The responses to a subscription's events, or why there are none. Resolvers of the subscription's own field must not look at
 *  its arguments: these choose the events, not what they look like. */
export async function subscribe(
  args: ExecutionArgs,
): Promise<AsyncIterableIterator<ExecutionResult> | ExecutionResult> {
  const source = await createSourceEventStream(args);
  return Symbol.asyncIterator in source
    ? new Responses(source[Symbol.asyncIterator](), args)
    : source;
}

const END = { done: true, value: undefined } as const;

class Responses implements AsyncIterableIterator<ExecutionResult> {
  readonly #events: AsyncIterator<unknown>;
  readonly #args: ExecutionArgs;
  readonly #question: string;

  constructor(events: AsyncIterator<unknown>, args: ExecutionArgs) {
    this.#events = events;
    this.#args = args;
    this.#question = questionOf(args);
  }

  async next(): Promise<IteratorResult<ExecutionResult>> {
    const event = await this.#events.next();
    if (event.done) return END;
    const response = this.#respond(event.value);
    return { done: false, value: response instanceof Promise ? await response : response };
  }

  async return(): Promise<IteratorResult<ExecutionResult>> {
    await this.#events.return?.();
    return END;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #respond(event: unknown): Result {
    const run = () => execute({ ...this.#args, rootValue: event }) as Result;
    if (typeof event !== 'object' || event === null) return run();
    const { document } = this.#args;
    const ofEvent = known.get(event) ?? new Map<DocumentNode, Map<string, Result>>();
    known.set(event, ofEvent);
    const ofDocument = ofEvent.get(document) ?? new Map<string, Result>();
    ofEvent.set(document, ofDocument);
    const result = ofDocument.get(this.#question) ?? run();
    ofDocument.set(this.#question, result);
    return result;
  }
}

/** What a response depends on besides event and document. */
function questionOf({ document, operationName, variableValues }: ExecutionArgs): string {
  const names = variablesBelow(document);
  const values = Object.entries(variableValues ?? {}).filter(([name]) => names.has(name));
  if (values.length === 0) return operationName ?? '';
  return JSON.stringify([operationName, values.sort(([a], [b]) => (a < b ? -1 : 1))]);
}

const variables = new WeakMap<DocumentNode, ReadonlySet<string>>();

/** The variables of a document that stand anywhere but in the arguments of an operation's own fields. */
function variablesBelow(document: DocumentNode): ReadonlySet<string> {
  const found = variables.get(document) ?? findVariables(document);
  variables.set(document, found);
  return found;
}

function findVariables(document: DocumentNode): ReadonlySet<string> {
  const names = new Set<string>();
  visit(document, {
    VariableDefinition: () => false,
    Variable({ name }, _key, _parent, path) {
      const [, index, ...steps] = path;
      const isOperation = document.definitions[Number(index)]?.kind === Kind.OPERATION_DEFINITION;
      const isOwnArgument = isOperation && steps[0] === 'selectionSet' && steps[3] === 'arguments';
      if (!isOwnArgument) names.add(name.value);
    },
  });
  return names;
}
