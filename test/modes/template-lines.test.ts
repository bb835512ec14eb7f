import { describe, expect, it } from 'vitest';
import { compileTemplate, TemplateError } from '../../src/modes/template.ts';
import { faultyLine, lineNaming } from '../../src/modes/template-lines.ts';

describe('faultyLine', () => {
  it.each([
    ['an expression with two operands and no operator', 'a\nb {{ x y }}\n{{ z }}', 1],
    ['an expression that is not closed', 'a\n{{ x }}\n{{ y\nb', 2],
    ['an expression closed as a statement', '{{ x }}\n{{ y %}', 1],
    ['a statement that is not closed', 'a\n{% if x\nb', 1],
    ['a block that is not ended', '{{ a }}\n{% if x %}\ny\n', 1],
    ['an inner block that is not ended', '{% if x %}\n{% for y in z %}\n{% endif %}', 2],
    ['an end without a beginning', 'a\nb\n{% endif %}', 2],
    ['an unknown statement', 'a\n{% unless x %}\n{% endunless %}', 1],
  ])('finds %s', (_name, text, line) => {
    expect(() => compileTemplate(text)).toThrow(TemplateError);
    expect(faultyLine(text)).toBe(line);
  });
});

describe('lineNaming', () => {
  it('finds the first line with the whole name', () => {
    expect(lineNaming('{{ input.bodyguard }}\n{{ input.body }}', 'input.body')).toBe(1);
  });

  it('is the first line where the name cannot be found', () => {
    expect(lineNaming('a\nb', 'input.body')).toBe(0);
  });
});
