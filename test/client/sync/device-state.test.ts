import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  type DeviceEvent,
  type DeviceState,
  TRANSITIONS,
} from '../../../src/client/sync/device-state.ts';

const states = Object.keys(TRANSITIONS) as DeviceState[];
const events = Object.keys(TRANSITIONS.live) as DeviceEvent[];

it('has a state after every event in every state', () => {
  for (const state of states) {
    for (const event of events) expect(states).toContain(TRANSITIONS[state][event]);
  }
});

it('leaves a pause only by resuming or closing, signing out only by the app, and closing never', () => {
  const byApp: readonly DeviceEvent[] = ['pause', 'resume', 'close'];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...events)), (happened) => {
      let state: DeviceState = 'syncing';
      for (const event of happened) {
        const next: DeviceState = TRANSITIONS[state][event];
        if (state === 'closed') expect(next).toBe('closed');
        if (state === 'paused' && next !== 'paused') expect(['resume', 'close']).toContain(event);
        if (state === 'signed-out' && next !== state) expect(byApp).toContain(event);
        state = next;
      }
    }),
  );
});
