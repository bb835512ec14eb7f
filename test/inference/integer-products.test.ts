import { expect, test } from 'vitest';
import { zeroImage } from '../../src/inference/core/adapter-image.ts';
import { bucketOf, KvBlock } from '../../src/inference/core/kv-block.ts';
import { openRunner } from '../../src/inference/open-runner.ts';
import { decodePackage } from '../../src/model/decode/decode-package.ts';
import { exactWeightSign } from '../../src/runtime/integer-products.ts';
import { randomCheckpoint, SMALL_CONFIG, temporaryBase } from '../support/model/random-llama.ts';

test('the machine is asked, not guessed', async () => {
  expect(['i8', 'u8']).toContain(await exactWeightSign());
});

test('machines with either sign give the same bits', async () => {
  const { base, remove } = await temporaryBase(randomCheckpoint(SMALL_CONFIG));
  const logits: (readonly Float32Array[])[] = [];
  for (const sign of [await exactWeightSign(), 'u8'] as const) {
    const runner = await openRunner(await decodePackage(base, sign), base.config, 1);
    const block = new KvBlock(base.config, bucketOf(3));
    block.addRow();
    const lora = zeroImage(base.config).feeds;
    logits.push(await runner.run({ block, lora, ids: [[5, 77, 200]], past: [0] }, true));
    await runner.close();
  }
  expect(logits[0]).toEqual(logits[1]);
  await remove();
});
