// The server of docs/protocol.md for one user, in memory and without time: what devices are tested against. Its `fetch`
// takes the next fault with every request, one of `fileFaults` first where a file is asked for, and gives way as a network
// does: a device that asks for ever is ended by the test's limit.

import { setImmediate as giveWay } from 'node:timers/promises';
import type { Json } from '../../../src/lib/canonical-json.ts';
import { must } from '../../../src/lib/errors.ts';
import { sha256 } from '../../../src/lib/sha256.ts';
import {
  makeManifestKey,
  type PrivateKey,
  signStatement,
} from '../../../src/sync/manifest-keys.ts';
import type { ChangeMessage } from '../../../src/sync/protocol.ts';
import { checksumOfLive, OracleFeed } from './oracle-feed.ts';
import {
  type Fault,
  type OracleAdapter,
  type OracleDevice,
  sendFile,
  statementOf,
} from './oracle-files.ts';
import { KEEPER } from './oracle-modes.ts';
import { OraclePushes } from './oracle-pushes.ts';
import { OracleUploads } from './oracle-uploads.ts';

type Variables = Readonly<Record<string, never>> & { readonly input: never };

const FIRST_KEY = makeManifestKey();

export class OracleServer {
  readonly devices = new Map<string, OracleDevice>();
  readonly #pushes = new OraclePushes();
  readonly applied = this.#pushes.applied;
  readonly sources = this.#pushes.sources;
  readonly adapters: OracleAdapter[] = [];
  readonly reports = new Map<string, Json>();
  /** The verdicts on reported answers. */
  readonly ratings = new Map<string, string>();
  /** Whose all this is. */
  user = 'the user';
  /** Devices that are turned away; a device's token is its id. */
  readonly revoked = new Set<string>();
  readonly uploads = new OracleUploads({
    liveId: (mode) => this.live(mode)?.id ?? null,
    publish: (mode, content) => this.publish(mode, content).id,
  });
  readonly words: string[] = [];
  readonly blobs = new Map<string, Uint8Array>();
  readonly faults: Fault[] = [];
  readonly fileFaults: Fault[] = [];
  /** What manifests say of an adapter. */
  statementOf = statementOf;
  /** Signs the manifests, and is shown. */
  key = FIRST_KEY;
  /** Signs in its place, and is not shown. */
  forger: PrivateKey | null = null;
  /** Bytes of bodies that were sent, by file. */
  readonly sentBytes = new Map<string, number>();
  /** Operations on which it fails. */
  readonly broken = new Set<string>();
  /** Hears of every operation that arrives. */
  onOperation: (name: string, variables: Readonly<Record<string, unknown>>) => unknown = () => 0;
  /** What the feed's end says of what is live. */
  checksum = () => checksumOfLive(this.adapters);
  /** The server's time, in ms. */
  now = 0;
  readonly #feed = new OracleFeed({
    devices: this.devices,
    now: () => this.now,
    checksum: () => this.checksum(),
  });
  #late: (() => unknown)[] = [];

  readonly fetch: typeof fetch = async (url, init = {}) => {
    await giveWay();
    init.signal?.throwIfAborted();
    const isFile = String(url).includes('/f/');
    const fault = (isFile ? this.fileFaults.shift() : undefined) ?? this.faults.shift() ?? 'none';
    const serve = () => this.#serve(String(url), init, fault);
    const late = this.#late.splice(0);
    if (fault === 'late') this.#late.push(serve);
    if (fault === 'lost-request' || fault === 'late') throw new TypeError('fetch failed');
    if (fault === 'busy') {
      return new Response('busy', { status: 503, headers: { 'retry-after': '1' } });
    }
    if (fault === 'twice') serve();
    const response = serve();
    for (const request of late) request();
    if (fault === 'lost-reply') throw new TypeError('fetch failed');
    return response;
  };

  /** The next version of the mode goes live. */
  publish(mode: string, content: string): OracleAdapter {
    const live = this.live(mode);
    if (live) live.status = 'SUPERSEDED';
    return this.#announce(mode, content);
  }

  /** The mode ships with these bytes from now on, for everyone; null: with nothing. */
  ship(mode: string, content: string | null): void {
    for (const one of this.adapters) {
      if (one.origin === 'SHIPPED' && one.mode.key === mode) one.status = 'SUPERSEDED';
    }
    if (content !== null) this.#store(mode, content, 'SHIPPED');
  }

  /** The live version of the mode is withdrawn. */
  revoke(mode: string): void {
    const live = this.live(mode);
    if (live === undefined) return;
    live.status = 'REVOKED';
    this.#feed.append('REVOKED', live);
  }

  /** The bytes of the newest superseded version go live again. */
  rollback(mode: string): void {
    const earlier = this.adapters.findLast(
      (one) => one.mode.key === mode && one.origin === 'SERVER' && one.status === 'SUPERSEDED',
    );
    if (earlier === undefined) return;
    this.revoke(mode);
    this.#announce(mode, Buffer.from(must(this.blobs.get(earlier.sha256), 'kept')).toString());
  }

  /** No cursor of before leads anywhere. */
  expireCursors(): void {
    this.#feed.beginEpoch();
  }

  /** Every version with the bytes of this one is withdrawn. */
  withdraw({ adapterId }: { adapterId: string }): object | string {
    const adapter = this.adapters.find(({ id }) => id === adapterId);
    if (adapter === undefined) return 'NOT_FOUND';
    for (const one of this.adapters) {
      if (one.sha256 !== adapter.sha256 || one.mode.key !== adapter.mode.key) continue;
      if (one.status === 'REVOKED') continue;
      one.status = 'REVOKED';
      this.#feed.append('REVOKED', one);
    }
    return { withdrawAdapter: { id: adapterId } };
  }

  live(mode: string): OracleAdapter | undefined {
    return this.#live.find((one) => one.mode.key === mode && one.origin !== 'SHIPPED');
  }

  /** What a device ought to have. */
  expected(mode: string): OracleAdapter | undefined {
    return this.live(mode) ?? this.#live.find((one) => one.mode.key === mode);
  }

  get #live(): readonly OracleAdapter[] {
    return this.adapters.filter(({ status }) => status === 'LIVE');
  }

  #announce(mode: string, content: string): OracleAdapter {
    const adapter = this.#store(mode, content, 'SERVER');
    this.#feed.append('READY', adapter);
    return adapter;
  }

  #store(mode: string, content: string, origin: 'SERVER' | 'SHIPPED'): OracleAdapter {
    const bytes = new TextEncoder().encode(content);
    const sha = sha256(bytes);
    this.blobs.set(sha, bytes);
    const n = this.adapters.length + 1;
    const file = { name: 'adapter.bin', url: `/f/${sha}`, sizeBytes: bytes.length, sha256: sha };
    const adapter: OracleAdapter = {
      id: `adapter ${n}`,
      version: this.#versionsOf(mode, origin) + 1,
      origin,
      sha256: sha,
      mode: { key: mode },
      base: { sha256: 'base' },
      files: [file],
      status: 'LIVE',
    };
    this.adapters.push(adapter);
    return adapter;
  }

  #versionsOf(mode: string, origin: string): number {
    return this.adapters.filter((one) => one.mode.key === mode && one.origin === origin).length;
  }

  #serve(url: string, init: RequestInit, fault: Fault): Response {
    const { pathname } = new URL(url);
    const token = new Headers(init.headers).get('authorization')?.slice('Bearer '.length) ?? '';
    if (this.revoked.has(token)) return new Response('revoked', { status: 403 });
    if (pathname.startsWith('/uploads/'))
      return this.uploads.put(pathname.slice('/uploads/'.length), init, fault);
    if (pathname.startsWith('/manifests/')) return this.#manifest(pathname, fault);
    if (pathname === '/.well-known/attune-keys.json') {
      const { d: _private, ...shown } = this.key;
      return Response.json({ keys: [shown] });
    }
    if (pathname !== '/graphql') return this.#file(pathname.slice('/f/'.length), init, fault);
    const { operationName, variables } = JSON.parse(String(init.body)) as {
      operationName: string;
      variables: Variables;
    };
    this.onOperation(operationName, variables);
    const operation = must(this.#operations[operationName], `operation ${operationName}`);
    const isBroken = this.broken.has(operationName);
    const answer = isBroken ? 'INTERNAL' : operation(variables.input ?? variables);
    if (typeof answer === 'string') {
      const [code, reason] = answer.split(' ');
      return Response.json({ errors: [{ message: answer, extensions: { code, reason } }] });
    }
    return Response.json({ data: answer });
  }

  /** By name: the data, or the code of an error and its reason. */
  readonly #operations: Readonly<Record<string, (input: never) => object | string>> = {
    Register: ({ deviceId }: { deviceId: string }) => {
      const { answers, held } = this.#device(deviceId);
      const adapters = [...held.values()].map((id) => ({ adapter: { id } }));
      return { registerDevice: { lastMutationId: answers.length, held: adapters } };
    },
    Push: (input: { deviceId: string; changes: (ChangeMessage & { mutationId: number })[] }) => ({
      pushChanges: this.#pushes.take(this.#device(input.deviceId), input),
    }),
    Feed: ({ after }: { after: string | null }) => {
      const shipped = this.#live.filter(({ origin }) => origin === 'SHIPPED');
      const modes = shipped.map((shippedAdapter) => ({ shippedAdapter }));
      return { viewer: { modes, adapterFeed: this.#feed.page(after) } };
    },
    Modes: () => ({ viewer: { id: this.user, modes: [KEEPER] } }),
    Acknowledge: (input: { deviceId: string; adapterId: string; state: string }) =>
      this.#acknowledge(input),
    Report: ({ clientId, text }: { clientId: string; text: string }) => {
      if (!this.reports.has(clientId)) this.reports.set(clientId, text);
      return { reportCompletion: { id: `answer ${clientId}` } };
    },
    Rate: ({ completionId, verdict }: { completionId: string; verdict: string }) => {
      if (!this.reports.has(completionId.slice('answer '.length))) return 'NOT_FOUND';
      this.ratings.set(completionId, verdict);
      return { rateCompletion: { id: completionId } };
    },
    Versions: ({ mode }: { mode: string }) => {
      const own = this.adapters.filter((one) => one.mode.key === mode && one.origin !== 'SHIPPED');
      const pageInfo = { hasNextPage: false, endCursor: null };
      return { viewer: { mode: { adapters: { edges: own.map((node) => ({ node })), pageInfo } } } };
    },
    Withdraw: (input: { adapterId: string }) => this.withdraw(input),
    BeginUpload: (plan: Parameters<OracleUploads['begin']>[0]) => this.uploads.begin(plan),
    Publish: (input: Parameters<OracleUploads['publish']>[0]) => this.uploads.publish(input),
  };

  #device(deviceId: string): OracleDevice {
    const device = this.devices.get(deviceId) ?? { answers: [], held: new Map(), seenAt: 0 };
    device.seenAt = this.now;
    this.devices.set(deviceId, device);
    return device;
  }

  #acknowledge(word: { deviceId: string; adapterId: string; state: string }): object | string {
    const { held } = this.#device(word.deviceId);
    const adapter = this.adapters.find(({ id }) => id === word.adapterId);
    if (adapter === undefined) return 'NOT_FOUND';
    if (word.state === 'INSTALLED' && adapter.status === 'REVOKED') return 'CONFLICT';
    this.words.push(`${word.deviceId} ${word.state} ${word.adapterId}`);
    const mode = adapter.mode.key;
    if (word.state === 'INSTALLED') held.set(mode, adapter.id);
    if (word.state === 'REMOVED' && held.get(mode) === adapter.id) held.delete(mode);
    return { acknowledgeAdapter: { id: word.deviceId } };
  }

  #manifest(pathname: string, fault: Fault): Response {
    const id = decodeURIComponent(pathname.slice('/manifests/'.length));
    const adapter = this.adapters.find((one) => one.id === id);
    if (adapter === undefined || adapter.status === 'REVOKED') {
      return new Response('gone', { status: 404 });
    }
    const envelope = signStatement(this.forger ?? this.key, this.statementOf(adapter));
    return Response.json(fault === 'flipped' ? { ...envelope, signatures: [] } : envelope);
  }

  #file(sha: string, init: RequestInit, fault: Fault): Response {
    const isReadable = this.adapters.some(
      (one) => one.status !== 'REVOKED' && one.files.some((file) => file.sha256 === sha),
    );
    const bytes = this.blobs.get(sha);
    if (!isReadable || bytes === undefined) return new Response('gone', { status: 404 });
    const onSent = (n: number) => this.sentBytes.set(sha, (this.sentBytes.get(sha) ?? 0) + n);
    return sendFile(bytes, init, { etag: `"${sha}"`, fault, onSent });
  }
}
