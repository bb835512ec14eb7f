// The templates of a mode's file, each with its place in it. Besides being parsed, a template is checked for names it
// will not be given and tried on made-up values, so that it fails at the start and not in the first user's training.

import { ModeFileError } from './mode-file-error.ts';
import { type Scope, trialsOf } from './sample.ts';
import {
  compileCondition,
  compileTemplate,
  conditionTemplate,
  type Template,
  type Variables,
} from './template.ts';
import { faultyLine, lineNaming } from './template-lines.ts';
import { unknownName } from './template-names.ts';
import type { Path, YamlFile } from './yaml-file.ts';

/** Where a template stands, what it may name, and for which values it is used at all. */
export interface TemplateSite {
  readonly yaml: YamlFile;
  readonly path: Path;
  readonly scope: Scope;
  readonly when?: (variables: Variables) => boolean;
}

/** Compiles a template of a mode's file; a fault becomes a ModeFileError with its line. */
export function compileTemplateAt(site: TemplateSite, text: string): Template {
  const template = orFail(
    site,
    () => compileTemplate(text),
    () => faultyLine(text),
  );
  checkNames(site, text, text);
  tryOn(site, (variables) => template.render(variables));
  return template;
}

/** As `compileTemplateAt`, for a condition. */
export function compileConditionAt(
  site: TemplateSite,
  expression: string,
): (variables: Variables) => boolean {
  const condition = orFail(
    site,
    () => compileCondition(expression),
    () => 0,
  );
  checkNames(site, conditionTemplate(expression), expression);
  tryOn(site, condition);
  return condition;
}

function tryOn(site: TemplateSite, use: (variables: Variables) => unknown): void {
  const trials = trialsOf(site.scope).filter((variables) => site.when?.(variables) ?? true);
  for (const trial of trials)
    orFail(
      site,
      () => use(trial),
      () => 0,
    );
}

function orFail<T>(site: TemplateSite, compile: () => T, faultAt: () => number): T {
  try {
    return compile();
  } catch (cause) {
    const line = site.yaml.textLineOf(site.path, faultAt());
    const reason = `${site.path.join('.')} ${(cause as Error).message}`;
    throw new ModeFileError(reason, { file: site.yaml.file, line, cause });
  }
}

function checkNames(site: TemplateSite, template: string, text: string): void {
  const unknown = unknownName(template, site.scope);
  if (unknown === null) return;
  const line = site.yaml.textLineOf(site.path, lineNaming(text, unknown.path));
  const known = unknown.known.join(', ');
  throw new ModeFileError(
    `${site.path.join('.')} names the unknown "${unknown.path}"; known there: ${known}`,
    { file: site.yaml.file, line },
  );
}
