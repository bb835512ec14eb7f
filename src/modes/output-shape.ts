// The JSON that a mode's answers consist of, as plain data. Knows nothing of schemas: devices have this too.

/** What a value is. Objects have their fields in this order, and no others. */
export type OutputShape =
  | { readonly kind: 'object'; readonly fields: readonly OutputField[] }
  | { readonly kind: 'array'; readonly items: OutputShape; readonly length: Range }
  /** Its length is counted in characters (code points). */
  | { readonly kind: 'string'; readonly length: Range }
  | { readonly kind: 'integer'; readonly minimum: number; readonly maximum: number }
  | { readonly kind: 'number' }
  /** One of these JSON texts. */
  | { readonly kind: 'literal'; readonly texts: readonly string[] }
  /** Shapes that differ in their first character. */
  | { readonly kind: 'either'; readonly shapes: readonly OutputShape[] };

/** A field of an object. */
export interface OutputField {
  readonly name: string;
  readonly shape: OutputShape;
  readonly isRequired: boolean;
}

/** A count from `minimum` to `maximum`; null: without an end. */
export interface Range {
  readonly minimum: number;
  readonly maximum: number | null;
}

/** Every integer of so many digits is read back exactly. */
export const MAX_DIGITS = 15;
