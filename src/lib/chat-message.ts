/** One message of a chat: what prompts are made of, from the mode's template to the tokenizer. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}
