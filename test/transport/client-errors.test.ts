import { GraphQLError, Kind } from 'graphql';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { AppError, ERROR_CODES, type ErrorCode } from '../../src/lib/errors.ts';
import {
  createClientErrors,
  httpStatusOf,
  retryAfterMsOf,
} from '../../src/transport/client-errors.ts';

const lines: string[] = [];
const toClientError = createClientErrors(pino({}, { write: (line: string) => lines.push(line) }));

/** As GraphQL reports what a resolver threw. */
const thrownAt = (path: string[], originalError: Error) =>
  new GraphQLError(originalError.message, { path, originalError });

describe("a client's view of an error", () => {
  it.each(Object.keys(ERROR_CODES) as ErrorCode[])('keeps an AppError with code %s', (code) => {
    const error = new AppError(code, 'what, which, remedy', { retryAfterMs: 1500 });
    expect(toClientError(thrownAt(['viewer', 'mode'], error))).toEqual({
      message: 'what, which, remedy',
      path: ['viewer', 'mode'],
      extensions: { code, retryAfterMs: 1500 },
    });
  });

  it('keeps an AppError that was wrapped more than once', () => {
    const error = thrownAt(['a'], thrownAt([], new AppError('CONFLICT', 'no')));
    expect(toClientError(error).extensions).toEqual({ code: 'CONFLICT' });
  });

  it("calls GraphQL's own complaints about a document bad input", () => {
    const error = new GraphQLError('Cannot query field "x" on type "Query".');
    expect(toClientError(error)).toEqual({
      message: 'Cannot query field "x" on type "Query".',
      extensions: { code: 'BAD_INPUT' },
    });
  });

  it("calls GraphQL's complaints about a field's arguments bad input", () => {
    const nodes = { kind: Kind.NAME, value: 'x' } as const;
    const complaint = new GraphQLError('Argument "x" is missing.', { nodes });
    expect(toClientError(thrownAt(['viewer'], complaint)).extensions?.code).toBe('BAD_INPUT');
  });

  it.each([
    ['a plain error', thrownAt(['viewer'], new Error('password of anna: 123'))],
    ['an error outside of any operation', new Error('password of anna: 123')],
    ['a value that is no error', 'password of anna: 123'],
    [
      'a value of a resolver that GraphQL cannot send',
      thrownAt(['viewer'], new GraphQLError('Int cannot represent "password of anna: 123"')),
    ],
  ])('masks %s under an id that the log has', (_, error) => {
    lines.length = 0;
    const { message, extensions } = toClientError(error);
    expect(extensions).toEqual({ code: 'INTERNAL', errorId: expect.any(String) });
    expect(message).toContain(`error ${extensions?.errorId}`);
    expect(message).not.toContain('password');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ errorId: extensions?.errorId });
  });

  it.each([
    ['22021', 'invalid byte sequence for encoding "UTF8": 0x00'],
    ['22P05', 'unsupported Unicode escape sequence'],
  ])('calls text that the database cannot keep (%s) bad input', (code, message) => {
    const error = Object.assign(new Error(message), { code });
    expect(toClientError(thrownAt(['x'], error)).extensions?.code).toBe('BAD_INPUT');
  });
});

describe('the HTTP answer to errors', () => {
  const errors = (...codes: ErrorCode[]) =>
    codes.map((code) => ({ message: '', extensions: { code } }));

  it('has the status of the gravest', () => {
    expect(httpStatusOf([])).toBe(200);
    expect(httpStatusOf(errors('NOT_FOUND'))).toBe(200);
    expect(httpStatusOf(errors('NOT_FOUND', 'UNAVAILABLE', 'TOO_LARGE'))).toBe(503);
    expect(httpStatusOf([{ message: 'without a code' }])).toBe(500);
  });

  it('asks for the longest wait', () => {
    const waits = [10, 30, 20].map((retryAfterMs) => ({
      message: '',
      extensions: { retryAfterMs },
    }));
    expect(retryAfterMsOf(waits)).toBe(30);
    expect(retryAfterMsOf(errors('NOT_FOUND'))).toBeUndefined();
  });
});
