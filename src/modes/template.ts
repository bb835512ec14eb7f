// Jinja templates of modes: text in, text out. A user's data is only ever a value, never template text, so braces in a
// mail stay braces. Runs in a browser too: it knows nothing of files, schemas or the database.

import { Template as JinjaTemplate } from '@huggingface/jinja';
import type { Json } from '../lib/canonical-json.ts';
import type { ChatMessage } from '../lib/chat-message.ts';

/** What a template may name. */
export type Variables = Readonly<Record<string, Json>>;

/** A parsed template. */
export interface Template {
  readonly text: string;
  /** Throws TemplateError when the values do not suit an operation in it. */
  render(variables: Variables): string;
}

/** One message of a prompt whose content is a template. */
export interface MessageTemplate {
  readonly role: ChatMessage['role'];
  readonly content: Template;
}

/** A template that cannot be parsed, or cannot be rendered with the given values. */
export class TemplateError extends Error {
  override name = 'TemplateError';
}

/** Parses a template; throws TemplateError when it is not Jinja. */
export function compileTemplate(text: string): Template {
  const parsed = parseJinja(text);
  const render = (variables: Variables): string => {
    try {
      return parsed.render(variables);
    } catch (cause) {
      throw new TemplateError(`cannot be rendered: ${(cause as Error).message}`, { cause });
    }
  };
  return { text, render };
}

function parseJinja(text: string): JinjaTemplate {
  try {
    return new JinjaTemplate(text);
  } catch (cause) {
    // past the last token the parser reads a property of undefined
    const reason =
      cause instanceof TypeError
        ? 'it ends inside a block or an expression'
        : (cause as Error).message;
    throw new TemplateError(`is no Jinja template: ${reason}`, { cause });
  }
}

/** Parses a Jinja expression that is asked for truth, such as `record.inReplyTo and record.body`. */
export function compileCondition(expression: string): (variables: Variables) => boolean {
  const template = compileTemplate(conditionTemplate(expression));
  return (variables) => template.render(variables) !== '';
}

/** The template text that a condition is compiled as. */
export function conditionTemplate(expression: string): string {
  return `{% if ${expression} %}true{% endif %}`;
}

/** Renders each message of a prompt. */
export function renderMessages(
  prompt: readonly MessageTemplate[],
  variables: Variables,
): readonly ChatMessage[] {
  return prompt.map(({ role, content }) => ({ role, content: content.render(variables) }));
}
