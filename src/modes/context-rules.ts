import type { ModeDefinition } from './definition.ts';
import type { ContextRule } from './mode.ts';
import { compileTemplate } from './template.ts';

/** The rules by which a device finds the records that a prompt shows. Throws TemplateError. */
export function contextRules(context: ModeDefinition['context']): readonly ContextRule[] {
  return Object.entries(context).map(([name, { source, where, equals }]) => {
    return { name, source, field: where, equals: compileTemplate(equals) };
  });
}
