/** What the system says of a disk that takes nothing more: full, its user's share used up, read-only, broken, or a file too
 *  long for the limits of the process. */
const REFUSED = /\b(ENOSPC|EDQUOT|EROFS|EIO|EFBIG)\b/;

/** Whether a disk took nothing more, in this process or in one that told this one of it: that says nothing of what was to be
 *  written, which may do well later. */
export function isDiskRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return REFUSED.test(error.message) || isDiskRefusal(error.cause);
}
