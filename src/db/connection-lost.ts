/** What PostgreSQL says (SQLSTATE) when it stops, starts or loses a connection, gives up one that was quiet in a transaction, or
 *  has no disk, memory or connection left; and Node when it cannot be reached. */
const CODES: readonly unknown[] = [
  ...['57P01', '57P02', '57P03', '08000', '08001', '08003', '08006'],
  ...['25P03', '53100', '53200', '53300'],
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT'],
];

/** What the client says of a connection that ended in use; these have no code. */
const MESSAGES = /^Connection terminated|not queryable$/;

/** Whether the database could not be reached, or could do nothing: it says nothing of what was asked, which may do well later. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && CODES.includes(error.code)) || MESSAGES.test(error.message);
}
