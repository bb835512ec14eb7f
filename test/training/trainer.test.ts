import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { forkScript } from '../../src/lib/fork-script.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { readFileIn } from '../../src/sealing/private-folder.ts';
import { UntrainableError } from '../../src/training/core/untrainable-error.ts';
import { KeptTrainers } from '../../src/training/kept-trainers.ts';
import { runTrainer } from '../../src/training/trainer.ts';
import type { TrainingJob, TrainingProgress } from '../../src/training/training-job.ts';
import { handClock } from '../support/clocks/hand-clock.ts';
import { useTrainingFolder } from '../support/training/training-folder.ts';
import {
  ruleExamples,
  rulePairs,
  ruleThumbs,
  SMALL_DPO,
  SMALL_RECIPE,
} from '../support/training/training-job.ts';

const { path, jobOf, run: runHere } = useTrainingFolder();
afterEach(() => {
  vi.unstubAllEnvs();
});

/** Every file of the folder is a sealed one. */
async function expectSealed(dir: string): Promise<void> {
  const names = await readdir(dir);
  expect(names.length).toBeGreaterThan(0);
  for (const name of names)
    expect((await readFile(join(dir, name))).subarray(0, 4).toString(), name).toBe('ATS1');
}

/** Any two steps but those of the last epoch, of 14 steps, after which there may be none to be killed at; and one that is
 *  after the first epoch. */
function stepsToKillAt(steps: number): readonly number[] {
  const any = () => randomInt(1, steps - 15);
  return [any(), 17, any()].sort((a, b) => a - b);
}

const NEVER = new AbortController().signal;
const ENDLESS = { ...SMALL_RECIPE, epochs: 1_000_000, patience: 1_000_000 };

describe('runTrainer', () => {
  it('gives the very bytes and measures that the same job gives in this process', async () => {
    const progress: TrainingProgress[] = [];
    const job = jobOf();
    const result = await runTrainer(job, { signal: NEVER, onProgress: (p) => progress.push(p) });
    const here = await runHere(jobOf());
    expect(result.adapterDir).toBe(job.outDir);
    expect(result.files).toEqual(here.files);
    expect(result.measures).toEqual(here.measures);
    expect(result.losses).toEqual(here.losses);
    expect(progress.map(({ loss }) => loss)).toEqual(result.losses);
    const bytes = await readFile(join(result.adapterDir, 'adapter_model.safetensors'));
    expect(bytes.length).toBe(result.files[1]?.sizeBytes);
  });

  it('kills the trainer on an abort in mid-run, rejects with its reason, and leaves no adapter', async () => {
    const abort = new AbortController();
    const job = jobOf({ recipe: ENDLESS });
    const onProgress = ({ step }: TrainingProgress) => {
      if (step === 3) abort.abort(new Error('newer data came'));
    };
    await expect(runTrainer(job, { signal: abort.signal, onProgress })).rejects.toThrow(
      'newer data came',
    );
    expect(existsSync(job.outDir)).toBe(false);
  });

  it.each(['alone', 'after writing'])(
    'ends with the bytes of an uninterrupted run when it was killed in between, sealed, preferences %s',
    async (kind) => {
      const recipe = {
        ...SMALL_RECIPE,
        dpo: { ...SMALL_DPO, afterWriting: kind === 'after writing' },
      };
      // thumbs of one kind are learnt by themselves
      const thumbs = ruleThumbs(30).filter(({ isGood }) => isGood);
      const data = { recipe, preferences: rulePairs(30), thumbs };
      const whole = await runTrainer(jobOf(data), { signal: NEVER, onProgress: () => undefined });
      const checkpointDir = path(`checkpoints ${kind}`);
      const seal = { place: 'a run', keys: [{ generation: 1, key: randomBytes(32) }] };
      const kills = stepsToKillAt(whole.steps);
      for (const killAt of kills) {
        const abort = new AbortController();
        const onProgress = ({ step }: TrainingProgress) => {
          if (step >= killAt) abort.abort(new Error('killed'));
        };
        const job = jobOf({ ...data, checkpointDir, seal });
        await expect(runTrainer(job, { signal: abort.signal, onProgress })).rejects.toThrow(
          'killed',
        );
      }
      const reports: TrainingProgress[] = [];
      const resumed = await runTrainer(jobOf({ ...data, checkpointDir, seal }), {
        signal: NEVER,
        onProgress: (progress) => reports.push(progress),
      });
      const killed = `killed at ${kills.join(', ')}`;
      const goesOn = must(reports[0], 'a step after the kills');
      expect(goesOn.step, killed).toBeGreaterThan(1);
      expect(goesOn.losses, killed).toEqual(whole.losses.slice(0, goesOn.step));
      expect(resumed.files, killed).toEqual(whole.files);
      expect(resumed.losses).toEqual(whole.losses);
      expect(resumed.measures).toEqual(whole.measures);
      await expectSealed(checkpointDir);
      await expectSealed(resumed.adapterDir);
      const folder = { dir: resumed.adapterDir, seal };
      const tensors = await readFileIn(folder, 'adapter_model.safetensors');
      expect(sha256(tensors)).toBe(whole.files[1]?.sha256);
    },
  );

  it('begins anew where a checkpoint is damaged', async () => {
    const checkpointDir = path('damaged');
    const options = { signal: NEVER, onProgress: () => undefined };
    const whole = await runTrainer(jobOf({ checkpointDir }), options);
    const [name = ''] = await readdir(checkpointDir);
    const bytes = await readFile(join(checkpointDir, name));
    await writeFile(join(checkpointDir, name), bytes.subarray(0, bytes.length - 8));
    const steps: number[] = [];
    const again = await runTrainer(jobOf({ checkpointDir }), {
      signal: NEVER,
      onProgress: ({ step }) => steps.push(step),
    });
    expect(steps[0]).toBe(1);
    expect(again.files).toEqual(whole.files);
  });

  it('starts nothing when it is aborted already', async () => {
    const signal = AbortSignal.abort(new Error('too late'));
    const onProgress = () => expect.fail('a step was made');
    await expect(runTrainer(jobOf(), { signal, onProgress })).rejects.toThrow('too late');
  });

  it('tells what cannot be cured by trying again from what can', async () => {
    const options = { signal: NEVER, onProgress: () => undefined };
    const empty = runTrainer(jobOf({ examples: [] }), options);
    await expect(empty).rejects.toThrow(UntrainableError);
    await expect(empty).rejects.toThrow('there is no example to learn from');
    const baseless = runTrainer(jobOf({ baseDir: path('nowhere') }), options);
    await expect(baseless).rejects.toThrow(/^the trainer failed: .*nowhere/);
    await expect(baseless).rejects.not.toThrow(UntrainableError);
  });

  it('says how a trainer died that had no last words', async () => {
    vi.stubEnv('NODE_OPTIONS', '--no-such-option');
    const run = runTrainer(jobOf(), { signal: NEVER, onProgress: () => undefined });
    await expect(run).rejects.toThrow(
      /^the trainer died \(code 9, signal null: .*--no-such-option/,
    );
  });
});

describe('a kept trainer', () => {
  const options = { signal: NEVER, onProgress: () => undefined };
  let kept: KeptTrainers;
  beforeEach(() => {
    kept = new KeptTrainers(systemClock);
  });
  afterEach(() => kept.close());

  /** The process that waits for the next run. */
  function idle() {
    const forked = must(kept.take(), 'a trainer is idle');
    kept.put(forked);
    return forked.child;
  }

  it('gives run after run what a process of its own gives, held-out scores too', async () => {
    const full = await runTrainer(jobOf(), { ...options, kept });
    const { pid } = idle();
    const learnt = ruleExamples(30).map((example) => example.sha256);
    const tensors = must(full.files[1], 'a file of tensors');
    const warm: Partial<TrainingJob> = {
      examples: ruleExamples(40),
      liveAdapterDir: full.adapterDir,
      warmStart: { adapterDir: full.adapterDir, sha256: tensors.sha256, datasetSha256: '', learnt },
    };
    const topLayer = { recipe: { ...SMALL_RECIPE, lora: { ...SMALL_RECIPE.lora, layers: [1] } } };
    for (const changes of [warm, topLayer, warm, {}]) {
      const here = await runTrainer(jobOf(changes), { ...options, kept });
      const alone = await runHere(jobOf(changes));
      expect(here.files).toEqual(alone.files);
      expect(here.measures).toEqual(alone.measures);
      expect(here.validationLosses).toEqual(alone.validationLosses);
    }
    expect(idle().pid).toBe(pid);
  });

  it('is not kept when its run failed or was stopped', async () => {
    await expect(runTrainer(jobOf({ examples: [] }), { ...options, kept })).rejects.toThrow();
    expect(kept.take()).toBeUndefined();
    const abort = new AbortController();
    const stopped = runTrainer(jobOf({ recipe: ENDLESS }), {
      ...{ kept, signal: abort.signal },
      onProgress: () => abort.abort(new Error('stopped')),
    });
    await expect(stopped).rejects.toThrow('stopped');
    expect(kept.take()).toBeUndefined();
  });

  it('that died while it was idle is not taken', async () => {
    await runTrainer(jobOf(), { ...options, kept });
    const child = idle();
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    expect(kept.take()).toBeUndefined();
  });

  it('ends after a minute without a run, or when nobody keeps trainers any more', async () => {
    const clock = handClock(0);
    const impatient = new KeptTrainers(clock);
    await runTrainer(jobOf(), { ...options, kept: impatient });
    const forked = must(impatient.take(), 'a trainer is idle');
    const exited = once(forked.child, 'exit');
    impatient.put(forked);
    await clock.advance(60_000);
    await exited;
    await runTrainer(jobOf(), { ...options, kept });
    const last = once(idle(), 'exit');
    kept.close();
    await last;
  });
});

describe('a trainer process', () => {
  it('ends when its parent is gone, and leaves no adapter', async () => {
    const job = jobOf({ recipe: ENDLESS, examples: ruleExamples(30) });
    const script = new URL('../../src/training/trainer-process.ts', import.meta.url);
    const { child } = forkScript(script, {});
    child.send({ job });
    await once(child, 'message');
    const exited = once(child, 'exit');
    child.disconnect();
    await exited;
    expect(existsSync(job.outDir)).toBe(false);
    expect(existsSync(dirname(job.outDir))).toBe(false);
  });
});
