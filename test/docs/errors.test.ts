import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/lib/errors.ts';
import { LIMITS, MAX_REQUEST_BYTES } from '../../src/transport/limits.ts';
import { RATES } from '../../src/transport/rate-limits.ts';

const page = await readFile(new URL('../../docs/errors.md', import.meta.url), 'utf8');

describe('the page of errors', () => {
  it('has every code with its status and whether to try again, and no other', () => {
    const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| (\d+) \| (yes|no) \|/gm)];
    expect(
      Object.fromEntries(rows.map(([, code, status, again]) => [code, `${status} ${again}`])),
    ).toEqual(
      Object.fromEntries(
        Object.entries(ERROR_CODES).map(([code, { httpStatus, retryable }]) => [
          code,
          `${httpStatus} ${retryable ? 'yes' : 'no'}`,
        ]),
      ),
    );
  });

  it('has the limits as they are', () => {
    for (const name of [
      'characters',
      'tokens',
      'fields',
      'aliases',
      'directives',
      'depth',
      'cost',
    ] as const) {
      expect(page).toMatch(new RegExp(`^\\| \`${name}\` of [^|]+\\| ${LIMITS[name]} \\|$`, 'm'));
    }
    const others: readonly [string, number][] = [
      ['bytes of a request or a WebSocket frame', MAX_REQUEST_BYTES],
      ['mistakes told of one document', LIMITS.validationErrors],
      ['time of a query or a mutation', LIMITS.operationMs / 1000],
      ['time to send a request', LIMITS.requestMs / 1000],
      ['time to say who it is on a new WebSocket', LIMITS.socketInitMs / 1000],
      ['bytes on a WebSocket before it has said who it is', LIMITS.socketInitBytes],
      ['messages waiting for such a WebSocket', LIMITS.socketQueueMessages],
      ['operations at once on one WebSocket', LIMITS.operationsPerSocket],
      ['WebSockets of one user, per server', LIMITS.socketsPerUser],
      ['bytes waiting for a WebSocket that reads too slowly', LIMITS.socketQueueBytes],
    ];
    for (const [what, limit] of others) {
      expect(page).toMatch(new RegExp(`^\\| ${what} \\| ${limit}\\D`, 'm'));
    }
    for (const { points, seconds } of Object.values(RATES)) {
      expect(page).toContain(`| ${points} in ${seconds} s`);
    }
  });
});
