// A mode that ships an adapter, trained on a device in Node against the real server on the tiny base.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { readMailbox } from '../../demo/mailbox.ts';
import { writePeftFolder } from '../../src/adapters/peft.ts';
import { type AttuneClient, openClient } from '../../src/client/client.ts';
import { openNodeStorage } from '../../src/client/storage/node-storage.ts';
import { openLocalTrainer } from '../../src/client/training/local-trainer.ts';
import { must } from '../../src/lib/errors.ts';
import { installBase } from '../../src/model/base/base-install.ts';
import { loraSize, unflattenLora } from '../../src/model/lora/lora.ts';
import { roundLora } from '../../src/model/lora/lora-wire.ts';
import { loadCatalog } from '../../src/modes/catalog.ts';
import { recipeOf } from '../../src/training/core/recipe.ts';
import { START_MS, startTinyApp, type TinyApp } from '../support/api/tiny-app.ts';
import { writeDeviceModes } from '../support/devices/device-modes.ts';

const mails = readMailbox().map((mail) => ({ ...mail, kind: 'UPSERT' as const }));

let server: TinyApp;
const open: AttuneClient[] = [];
beforeAll(async () => {
  server = await startTinyApp(['ann'], writeShippingModes);
}, START_MS);
afterEach(async () => {
  for (const client of open.splice(0)) await client.close();
});
afterAll(() => server?.close());

async function writeShippingModes(dir: string): Promise<readonly string[]> {
  const keys = await writeDeviceModes(dir, 'device');
  const base = await installBase({ model: 'tiny', cacheDir: join(dir, 'cache') });
  const catalog = await loadCatalog(dir, { only: keys });
  const { lora } = recipeOf(must(catalog.modes[0], 'a mode'), base.config);
  // so little that it answers as the base does
  const numbers = Float32Array.from({ length: loraSize(base.config, lora) }, (_, i) => Math.sin(i));
  const ships = unflattenLora(
    base.config,
    lora,
    numbers.map((value) => value / 50),
  );
  await writePeftFolder(join(dir, 'ships'), roundLora(ships), base);
  const path = join(dir, 'subject.yaml');
  await writeFile(path, `${await readFile(path, 'utf8')}\nshippedAdapter: ships\n`);
  return keys;
}

async function device(user: string): Promise<AttuneClient> {
  const token = await server.token(user);
  const client = await openClient({
    ...{ url: server.app.url, token: () => Promise.resolve(token), webSocket: null },
    ...{ name: 'Phone', platform: 'node' },
    storage: await openNodeStorage(join(server.folder, user)),
    trainer: openLocalTrainer(ort, { threads: 1 }),
  });
  open.push(client);
  await client.installBase();
  await expect.poll(async () => (await client.base())?.isInstalled).toBe(true);
  return client;
}

it('begins from what the mode ships, also where the user has an adapter of their own (DEV-26)', async () => {
  const losses = async (user: string) => {
    const client = await device(user);
    await client.push(mails);
    const had = (await client.adapter('subject'))?.origin;
    await client.train('subject');
    const { status, startedFromId, result } = must(await client.training('subject'), 'a training');
    expect([['TRAINED', 'PUBLISHED', 'REJECTED'].includes(status), startedFromId]).toEqual([
      true,
      null,
    ]);
    return { had, losses: must(result, 'it ended').losses };
  };
  const [own, none] = [await losses('ann'), await losses('bea')];
  expect([own.had, none.had]).toEqual(['SERVER', 'SHIPPED']);
  expect(own.losses).toEqual(none.losses);
});
