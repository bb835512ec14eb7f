// The device SDK's front door: an app hands it changes and gets adapters. Everything that touches a platform (fetch,
// WebSocket, disk, time, chance) is handed in, so the same code runs in a browser, in Node and on a phone.

import { systemClock } from '../lib/clock.ts';
import type { Answer, CompleteHooks, CompleteRequest } from './answers/local-answers.ts';
import type { ServerAccess } from './api.ts';
import { AttuneClient, type InstalledAdapter } from './attune-client.ts';
import type { ClientOptions } from './client-options.ts';
import { verifyByWebCrypto } from './sync/check-manifest.ts';
import type { RatedAnswer, Rating } from './sync/ratings.ts';
import { forgetFailures } from './sync/shelf.ts';
import { createSyncParts } from './sync/sync-parts.ts';
import type { TrainHooks, TrainOutcome } from './training/device-training.ts';
import type { Trained } from './training/trained.ts';

export type {
  Answer,
  AttuneClient,
  ClientOptions,
  CompleteHooks,
  CompleteRequest,
  InstalledAdapter,
  RatedAnswer,
  Rating,
  Trained,
  TrainHooks,
  TrainOutcome,
};

/** Opens a device and begins to keep it in step with the server. */
export async function openClient(options: ClientOptions): Promise<AttuneClient> {
  const { storage, name, platform } = options;
  const kept = await storage.get('deviceId');
  const deviceId = options.deviceId ?? (typeof kept === 'string' ? kept : crypto.randomUUID());
  if (kept !== deviceId) await storage.write([['deviceId', deviceId]]);
  const clock = options.clock ?? systemClock;
  const access: ServerAccess = {
    url: options.url,
    // a browser's fetch works for nobody but the global object
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    clock,
    token: (refused: string | null) => options.token(refused),
  };
  const device = { deviceId, name, platform };
  const parts = createSyncParts(device, storage, access, {
    verify: options.verify ?? verifyByWebCrypto,
    keys: options.trustedKeys,
    onProgress: options.onProgress,
  });
  await parts.shelf.update(forgetFailures);
  return new AttuneClient(parts, options, clock);
}
