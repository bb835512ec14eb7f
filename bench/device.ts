// Devices against their targets: one voice with the cloud, speed of answering and training in Chromium, sizes, and the way of
// an adapter to a device. Prints a table and, last, one line of JSON.

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { say, showTable } from '../demo/show.ts';
import { readConfig } from '../src/config.ts';
import { installBase } from '../src/model/base/base-install.ts';
import { sdkBundle } from '../test/support/devices/sdk-bundle.ts';
import type { Figure } from './decode/figure.ts';
import { measureOverhead } from './device/overhead.ts';
import { measureParity } from './device/parity.ts';
import { measureDecode } from './device/speed.ts';
import { measureTraining } from './device/training.ts';
import { VOICE_MODES } from './device/voices.ts';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string' },
    // where trained adapters are kept from one call to the next
    work: { type: 'string', default: join(tmpdir(), 'attune-device') },
    // some of: parity, decode, train, overhead, size
    only: { type: 'string', default: 'parity,decode,train,overhead,size' },
    // for parity in several calls: how many prompts, and which adapters answer them
    prompts: { type: 'string', default: '50' },
    voices: { type: 'string', default: VOICE_MODES.join(',') },
  },
});
const { model, cacheDir } = readConfig({ model: options.model });
const base = await installBase({ model, cacheDir });
const { work } = options;

/** The parts by name. */
const PARTS: Readonly<Record<string, () => Promise<readonly Figure[]>>> = {
  parity: parityFigures,
  decode: decodeFigures,
  train: trainFigures,
  overhead: overheadFigures,
  size: sizeFigures,
};

const figures: Figure[] = [];
for (const name of options.only.split(',')) {
  const part = PARTS[name];
  if (part === undefined) throw new Error(`--only knows ${Object.keys(PARTS).join(', ')}`);
  figures.push(...(await part()));
}
say(`base model ${base.name}`);
showTable(
  ['figure', 'measured', 'reach', 'made of'],
  figures.map(({ key, value, reach, from }) => [key, String(value), reach, from]),
);
say(JSON.stringify(Object.fromEntries(figures.map(({ key, value }) => [key, value]))));

function figure(key: string, value: number, reach: string, from: string): Figure {
  return { key, value: Number(value.toPrecision(3)), reach, from };
}

async function parityFigures(): Promise<readonly Figure[]> {
  const asked = { prompts: Number(options.prompts), modes: options.voices.split(',') };
  const found = await measureParity({ base, model, work, ...asked });
  for (const line of found.partings) say(line);
  const { answers, same, tokens, largest } = found;
  const share = `${same} of ${answers} answers are the same, token for token`;
  const middle = `log-probabilities of ${tokens} tokens; median ${found.median.toExponential(1)}`;
  return [
    figure('parity_prompts', same / answers, '0.99', share),
    figure('parity_logit_diff', largest, '', middle),
  ];
}

async function decodeFigures(): Promise<readonly Figure[]> {
  const { web, node, ratio } = await measureDecode({ base, model, work });
  const from = `${web.toFixed(1)} of ${node.toFixed(1)} tok/s, prompts included, two threads each`;
  return [figure('decode_tok_s_vs_node', ratio, '', from)];
}

async function trainFigures(): Promise<readonly Figure[]> {
  const { examples, steps, step, seconds, verdict } = await measureTraining(model);
  return [
    figure('train_step_s', step, '', `median of ${steps} steps of 4 mails`),
    figure('train_100_examples_s', seconds, '240 at most', `${examples} examples; ${verdict}`),
  ];
}

async function overheadFigures(): Promise<readonly Figure[]> {
  const { all, median, adapterBytes } = await measureOverhead(model);
  const runs = `each run: ${all.map((ms) => ms.toFixed(0)).join(', ')} ms`;
  const size = { key: 'adapter_bytes', value: adapterBytes, reach: '2500000 at most' };
  return [
    figure('change_to_installed_overhead_ms', median, '1000 at most', runs),
    { ...size, from: 'rank 8, all linear layers' },
  ];
}

async function sizeFigures(): Promise<readonly Figure[]> {
  const { sizeKb } = await sdkBundle('src/client/client.ts', 'browser');
  return [figure('sdk_gzip_kb', sizeKb, '', 'attune/client, minified, what is loaded at once')];
}
