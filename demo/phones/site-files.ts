import { readFileSync } from 'node:fs';
import { readMailbox } from '../mailbox.ts';
import { type DeviceSite, startDeviceSite, trainerSource } from './site.ts';

/** Of onnxruntime in each Worker. */
const THREADS = 2;

const textOf = (name: string) => readFileSync(new URL(`page/${name}`, import.meta.url), 'utf8');

/** Serves the page with two phones, at `/phone`, for the user of the token, in front of a server. */
export function startPhonesSite(
  server: { readonly url: string; readonly token: string },
  port = 0,
): Promise<DeviceSite> {
  const json = (value: unknown) => ({ type: 'application/json', body: JSON.stringify(value) });
  return startDeviceSite(server.url, "import './demo/phones/page/main.ts';", {
    port,
    threads: THREADS,
    modules: { '/trainer.js': trainerSource(THREADS) },
    html: textOf('page.html'),
    more: {
      '/phones.css': { type: 'text/css', body: textOf('phones.css') },
      '/controls.css': { type: 'text/css', body: textOf('controls.css') },
      '/mailbox.json': json(readMailbox()),
      '/token.json': json({ token: server.token }),
    },
  });
}
