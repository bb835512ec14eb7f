// Adapters on their way from devices, in memory: what beginAdapterUpload, PUT /uploads/:id and publishAdapter do.

import { must } from '../../../src/lib/errors.ts';
import { sha256 } from '../../../src/lib/sha256.ts';
import type { Fault } from './oracle-files.ts';

/** What a device says when it begins. */
interface Plan {
  readonly deviceId: string;
  readonly mode: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

interface Upload extends Plan {
  bytes: Uint8Array;
  published: { readonly parentId: string | null; readonly adapterId: string } | null;
}

/** What an upload becomes a version of. */
interface Registry {
  liveId(mode: string): string | null;
  /** Makes the bytes the mode's next version; returns its id. */
  publish(mode: string, content: string): string;
}

export class OracleUploads {
  readonly #registry: Registry;
  readonly #uploads = new Map<string, Upload>();
  /** What was published, one entry for each time. */
  readonly published: string[] = [];

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  begin(plan: Plan): object {
    const id = sha256(JSON.stringify([plan.deviceId, plan.mode, plan.sizeBytes, plan.sha256]));
    const upload = this.#uploads.get(id) ?? { ...plan, bytes: new Uint8Array(0), published: null };
    this.#uploads.set(id, upload);
    const receivedBytes = upload.bytes.length;
    return { beginAdapterUpload: { id, url: `/uploads/${id}`, receivedBytes } };
  }

  /** Takes a body, half of it where it is cut, another one where it is flipped. */
  put(id: string, { headers, body }: RequestInit, fault: Fault): Response {
    const upload = this.#uploads.get(id);
    if (upload === undefined) {
      const extensions = { code: 'NOT_FOUND', reason: 'SEND_AGAIN' };
      return Response.json({ errors: [{ message: 'gone', extensions }] }, { status: 404 });
    }
    const range = new Headers(headers).get('content-range') ?? '';
    const first = Number(/^bytes (\d+)-/.exec(range)?.[1]);
    const isNext = first === upload.bytes.length;
    const sent = new Uint8Array(body as Uint8Array<ArrayBuffer>);
    const isCut = fault === 'cut';
    const taken = (isCut ? sent.subarray(0, sent.length / 2) : sent).slice();
    if (fault === 'flipped' && taken.length > 0) taken[0] = 255 - Number(taken[0]);
    if (isNext) upload.bytes = Buffer.concat([upload.bytes, taken]);
    if (isCut) throw new TypeError('fetch failed');
    const answer = { 'upload-offset': String(upload.bytes.length) };
    return new Response(null, { status: isNext ? 204 : 409, headers: answer });
  }

  publish(input: { uploadId: string; mode: string; parentId: string | null }): object | string {
    const upload = this.#uploads.get(input.uploadId);
    if (upload === undefined) return 'NOT_FOUND SEND_AGAIN';
    if (upload.published !== null && upload.published.parentId === input.parentId)
      return { publishAdapter: { id: upload.published.adapterId, version: 0 } };
    if (sha256(must(upload.bytes, 'bytes')) !== upload.sha256) {
      this.#uploads.delete(input.uploadId);
      return 'BAD_INPUT SEND_AGAIN';
    }
    if (this.#registry.liveId(input.mode) !== input.parentId) return 'CONFLICT';
    const content = Buffer.from(upload.bytes).toString();
    const adapterId = this.#registry.publish(input.mode, content);
    upload.published = { parentId: input.parentId, adapterId };
    this.published.push(`${input.uploadId} ${input.parentId}`);
    return { publishAdapter: { id: adapterId, version: 0 } };
  }
}
