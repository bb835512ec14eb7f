// A checkpoint's chat template: how a conversation is written down for this model.

import { Template } from '@huggingface/jinja';
import type { Json } from '../../lib/canonical-json.ts';
import type { ChatMessage } from '../../lib/chat-message.ts';
import { badFile } from '../bad-file.ts';
import type { ChatOptions } from './tokenizer.ts';

/** Writes a conversation down as text. Throws BAD_INPUT where the template refuses it. */
export type ChatTemplate = (messages: readonly ChatMessage[], options: ChatOptions) => string;

/** For a base model that was never taught to chat: the messages as paragraphs of one text. */
const PARAGRAPHS = "{% for message in messages %}{{ message['content'] + '\n\n' }}{% endfor %}";

/** Some templates print today's date. A prompt must not depend on the day, or training could not be repeated. */
const FIXED_DATE = '26 Jul 2024';

/** Compiles the chat_template of a tokenizer_config.json. `label` names the file in errors. */
export function compileChatTemplate(
  config: { readonly [key: string]: Json },
  label: string,
): ChatTemplate {
  const source = templateSource(config.chat_template ?? null, label) ?? PARAGRAPHS;
  const template = compile(source, label);
  return (messages, { addGenerationPrompt }) => {
    try {
      return template.render({
        messages,
        add_generation_prompt: addGenerationPrompt,
        bos_token: tokenText(config.bos_token),
        eos_token: tokenText(config.eos_token),
        date_string: FIXED_DATE,
      });
    } catch (error) {
      const roles = messages.map(({ role }) => role).join(', ');
      const reason = error instanceof Error ? error.message : String(error);
      throw badFile(`${label}: chat_template refuses [${roles}]: ${reason}`, error);
    }
  };
}

function compile(source: string, label: string): Template {
  try {
    return new Template(source);
  } catch (error) {
    throw badFile(`${label}: chat_template is not valid Jinja: ${error}`, error);
  }
}

/** A template is a string, or a list of named ones, of which the one called default is for chatting. */
export function templateSource(value: Json, label: string): string | null {
  if (value === null || typeof value === 'string') return value;
  const named = Array.isArray(value) ? value : [];
  const found = named.find((item) => isNamed(item) && item.name === 'default');
  if (!isNamed(found) || typeof found.template !== 'string')
    throw badFile(`${label}: chat_template has no template named default`);
  return found.template;
}

function isNamed(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A special token is written as its text or as an object that holds it. */
export function tokenText(token: Json | undefined): string {
  if (typeof token === 'string') return token;
  return isNamed(token) && typeof token.content === 'string' ? token.content : '';
}
