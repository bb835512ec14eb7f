// Relay's global ids: opaque to clients, one row of one type to us.

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The types that have a global id, and what their own ids look like: anything else never reaches SQL. */
const ID_PATTERNS = {
  User: UUID,
  Device: UUID,
  Record: UUID,
  Mode: /^[\w.-]+$/,
  BaseModel: /^[0-9a-f]{64}$/,
  Adapter: UUID,
  Dataset: UUID,
  TrainingRun: UUID,
  Completion: UUID,
} as const satisfies Record<string, RegExp>;

/** A GraphQL type whose objects `node(id)` can find. */
export type NodeType = keyof typeof ID_PATTERNS;

/** The id that clients see: base64url of `Type:id`. */
export function toGlobalId(type: NodeType, id: string): string {
  return Buffer.from(`${type}:${id}`).toString('base64url');
}

/** What a client's id names; null for anything that `toGlobalId` cannot have made. */
export function fromGlobalId(globalId: string): { type: NodeType; id: string } | null {
  const text = Buffer.from(globalId, 'base64url').toString();
  const colon = text.indexOf(':');
  const type = text.slice(0, colon);
  const id = text.slice(colon + 1);
  if (!isNodeType(type) || !ID_PATTERNS[type].test(id)) return null;
  return toGlobalId(type, id) === globalId ? { type, id } : null;
}

function isNodeType(type: string): type is NodeType {
  return Object.hasOwn(ID_PATTERNS, type);
}
