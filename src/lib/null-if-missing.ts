/** For the `catch` of a file operation: null when there is no such file, any other error thrown on. */
export function nullIfMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
