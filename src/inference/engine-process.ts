// Entry of the engine's process: takes commands over the channel to its parent. It ends when it is told to, and when its
// parent dies.

import type { EngineLoop } from './engine-loop.ts';
import type { EngineCommand, EngineReport, EngineSettings } from './engine-protocol.ts';
import { openEngine } from './open-engine.ts';
import { toWireError } from './wire-error.ts';

function send(report: EngineReport): void {
  // a broken channel means that the parent is gone: 'disconnect' ends this process
  process.send?.(report, () => undefined);
}

async function start(settings: EngineSettings): Promise<EngineLoop> {
  const loop = await openEngine(settings, {
    report: (events) => send({ kind: 'events', events }),
    onAdapter: (tier) => send({ kind: 'adapter', tier }),
  });
  send({ kind: 'ready' });
  return loop;
}

function obey(loop: EngineLoop, command: EngineCommand): void {
  if (command.kind === 'generate') loop.submit(command.id, command.request);
  else if (command.kind === 'cancel') loop.cancel(command.id);
  else if (command.kind === 'warm') loop.warm(command.adapter);
  else if (command.kind === 'forget') loop.forget(command.owner);
  else if (command.kind === 'ping') send({ kind: 'pong' });
  else if (command.kind === 'stop') loop.close();
}

async function work(settings: EngineSettings): Promise<void> {
  const loop = await start(settings);
  process.on('message', (command: EngineCommand) => obey(loop, command));
  await loop.run();
}

process.once('disconnect', () => process.exit());
// Ctrl-C reaches every process of the terminal; when to stop is the parent's to say
process.on('SIGINT', () => undefined);
process.once('message', (command: EngineCommand) => {
  if (command.kind !== 'start') throw new Error(`expected a start, not ${command.kind}`);
  work(command.settings).then(
    () => process.exit(),
    (error) => {
      process.send?.({ kind: 'failed', error: toWireError(error) } satisfies EngineReport, () =>
        process.exit(1),
      );
    },
  );
});
