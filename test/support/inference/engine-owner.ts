// A process that owns an engine, to be killed: it starts one on the base it is told, and tells the engine's process id.

import { EngineChild } from '../../../src/inference/engine-child.ts';
import { systemClock } from '../../../src/lib/clock.ts';

process.once('message', (baseDir: string) => {
  const settings = {
    baseDir,
    threads: 1,
    kvBytes: 2 ** 26,
    adapterBytes: 2 ** 24,
    speculation: false,
  };
  void EngineChild.start(settings, { clock: systemClock }).then((engine) =>
    process.send?.(engine.pid),
  );
});
