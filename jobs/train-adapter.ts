import { type RunDeps, runTraining } from '../src/runs/run-training.ts';
import { GiveUp, type Processor, type TrainJob } from './queue.ts';

/** The `train-adapter` job: trains whatever is due for the payload's user and mode. */
export function trainAdapter(deps: RunDeps): Processor {
  return (payload, attempt) => runTraining(deps, parse(payload), attempt);
}

function parse(payload: unknown): TrainJob {
  if (typeof payload === 'object' && payload !== null && 'userId' in payload && 'mode' in payload) {
    const { userId, mode } = payload;
    if (typeof userId === 'string' && typeof mode === 'string') return { userId, mode };
  }
  throw new GiveUp(`a train-adapter job carries {userId, mode}, not ${JSON.stringify(payload)}`);
}
