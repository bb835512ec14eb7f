// What rounding to the wire's numbers costs: trains a rank 8 adapter on the sample mailbox with the installed default base
// and scores held-out mails with the exact and the rounded numbers. One JSON line. `node --import tsx bench/wire-loss.ts`

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { writePeftFolder } from '../src/adapters/peft.ts';
import { encodeWireFile } from '../src/adapters/wire-file.ts';
import { must } from '../src/lib/errors.ts';
import { sha256 } from '../src/lib/sha256.ts';
import { type Base, loadTokenizer } from '../src/model/base/base-package.ts';
import { flattenLora, LORA_MODULES, unflattenLora } from '../src/model/lora/lora.ts';
import { roundLora, TENSORS_FILE } from '../src/model/lora/lora-wire.ts';
import { freshLora } from '../src/training/core/fresh-lora.ts';
import { learn } from '../src/training/core/learn.ts';
import { seededRandom } from '../src/training/core/random.ts';
import { scoreExamples } from '../src/training/core/score.ts';
import { tokeniseParts } from '../src/training/core/tokenise-parts.ts';
import { openLlamaLearner } from '../src/training/llama-learner.ts';
import { realBase } from '../test/support/model/real-base.ts';
import { SMALL_RECIPE, trainingJob } from '../test/support/training/training-job.ts';

const lora = { rank: 8, alpha: 16, modules: LORA_MODULES };
const recipe = {
  ...SMALL_RECIPE,
  ...{ lora, precision: 'int8' as const, learningRate: 0.001 },
  ...{ epochs: 3, batchSize: 2, maxTokens: 256 },
};

const base = must(realBase, 'the default base is installed: run npm start once');
const examples = await readMails();
const parts = tokeniseParts(
  trainingJob(base, '/nowhere', { recipe, examples }),
  await loadTokenizer(base),
);
const learner = await openLlamaLearner({ base, ...recipe, threads: 1 });
const start = freshLora(base.config, lora, seededRandom('wire'));
const learnt = await learn(recipe, parts, {
  learner,
  start,
  reference: new Float32Array(start.length),
  randomOf: seededRandom,
  onStep: ({ step, loss }) => process.stderr.write(`step ${step}: ${loss.toFixed(3)}\n`),
  checkpointsOf: () => null,
});
const exact = unflattenLora(base.config, lora, learnt.theta);
const rounded = roundLora(exact);
const lossOf = async (theta: Float32Array) => {
  const scores = await scoreExamples(learner, parts.holdout.examples, theta);
  const sum = (of: (score: (typeof scores)[number]) => number) =>
    scores.reduce((total, score) => total + of(score), 0);
  return sum(({ nll }) => nll) / sum(({ tokens }) => tokens);
};
const losses = {
  base: await lossOf(new Float32Array(start.length)),
  exact: await lossOf(learnt.theta),
  rounded: await lossOf(flattenLora(base.config, rounded)),
};
await learner.close();
const bytes = await tensorBytes(base);
const wire = must(encodeWireFile(bytes), 'a rounded adapter has a wire form');
process.stdout.write(
  `${JSON.stringify({
    steps: learnt.losses.length,
    holdout_examples: parts.holdout.examples.length,
    loss_base: losses.base,
    loss_exact: losses.exact,
    loss_rounded: losses.rounded,
    loss_change_percent: 100 * (losses.rounded / losses.exact - 1),
    peft_bytes: bytes.length,
    peft_gzip_bytes: gzipSync(bytes).length,
    adapter_bytes: wire.length,
  })}\n`,
);

/** Mails whose subject is to be foretold: of ten, six to learn, one to validate, three held out. */
async function readMails() {
  const lines = (await readFile('examples/mailbox.jsonl', 'utf8')).trim().split('\n');
  const mails = lines.map(
    (line) => JSON.parse(line) as { data: { subject: string; body: string } },
  );
  return mails.map(({ data: { subject, body } }, n) => ({
    split:
      n % 10 < 6 ? ('train' as const) : n % 10 < 7 ? ('validation' as const) : ('holdout' as const),
    messages: [
      { role: 'system' as const, content: 'You write email subject lines.' },
      { role: 'user' as const, content: `${body}\n\nWrite a subject line for this email.` },
    ],
    target: subject,
    sha256: sha256(body),
  }));
}

async function tensorBytes(of: Base): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'attune-wire-'));
  try {
    await writePeftFolder(join(folder, 'adapter'), rounded, of);
    return await readFile(join(folder, 'adapter', TENSORS_FILE));
  } finally {
    await rm(folder, { recursive: true });
  }
}
