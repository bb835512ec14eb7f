// The modes of the two phones: `subject`, whose mails the server learns from, and `private`, the same for mails that stay
// on the phone that they were written on, which trains by itself.

import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MODES = fileURLToPath(new URL('../../modes', import.meta.url));

/** Layers that a phone trains; the others are run once for each mail. */
const TOP_LAYERS = 8;

/** Writes the modes into a folder; returns their keys. The private one may get another number of epochs. */
export async function writePhoneModes(
  dir: string,
  { epochs }: { readonly epochs?: number } = {},
): Promise<readonly string[]> {
  await cp(MODES, dir, { recursive: true });
  const subject = await readFile(join(dir, 'subject.yaml'), 'utf8');
  await writeFile(
    join(dir, 'private.yaml'),
    subject
      .replace('key: subject', 'key: private')
      .replace('title: Subject line', 'title: Subject line, learnt on the phone')
      .replaceAll('mail.sent', 'mail.private')
      // ratings are the server's
      .replace(/^objective: .*$/m, 'objective: SFT')
      .replace(/^training: \{/m, 'training: { where: device,')
      .replace(/epochs: \d+/, (text) => (epochs === undefined ? text : `epochs: ${epochs}`))
      .replace(/^lora: \{/m, `lora: { topLayers: ${TOP_LAYERS},`),
  );
  const source = await readFile(join(dir, 'sources/mail.sent.json'), 'utf8');
  await writeFile(
    join(dir, 'sources/mail.private.json'),
    source.replace('mail.sent', 'mail.private'),
  );
  return ['subject', 'private'];
}
