import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cutAtStop } from '../../../src/inference/core/stop-strings.ts';

/** Everything that is shown of a text that comes in pieces, and whether it was stopped. */
function shown(pieces: readonly string[], stops: readonly string[]) {
  let held = '';
  let text = '';
  for (const piece of pieces) {
    const result = cutAtStop(held, piece, stops);
    text += result.text;
    if (result.stopped) return { text, stopped: true };
    held = result.held;
  }
  return { text: text + held, stopped: false };
}

test('ends before a stop string that lies across pieces', () => {
  expect(shown(['one', ' E', 'N', 'D two'], [' END'])).toEqual({ text: 'one', stopped: true });
});

test('gives out what only looked like a stop string', () => {
  expect(shown(['a\n', 'b\n', '\nc'], ['\n\n'])).toEqual({ text: 'a\nb', stopped: true });
  expect(shown(['a EN', 'Dless'], [' END.'])).toEqual({ text: 'a ENDless', stopped: false });
});

test('holds back no more than what may begin a stop string', () => {
  expect(cutAtStop('', 'hello EN', [' END'])).toEqual({
    text: 'hello',
    held: ' EN',
    stopped: false,
  });
  expect(cutAtStop('', 'hello', [])).toEqual({ text: 'hello', held: '', stopped: false });
});

test('takes the stop string that is complete first, the longest among equals', () => {
  expect(shown(['abc'], ['abc', 'b'])).toEqual({ text: 'a', stopped: true });
  expect(shown(['xab'], ['ab', 'b'])).toEqual({ text: 'x', stopped: true });
});

test('does not depend on how the text is cut into pieces', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 30 });
  const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });
  const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 30, maxLength: 30 });
  fc.assert(
    fc.property(letters, fc.array(stop, { maxLength: 3 }), sizes, (text, stops, cuts) => {
      const pieces: string[] = [];
      let start = 0;
      for (const size of cuts) {
        pieces.push(text.slice(start, start + size));
        start += size;
      }
      const whole = shown([text], stops);
      expect(shown(pieces, stops)).toEqual(whole);
      expect(whole.stopped).toBe(stops.some((one) => text.includes(one)));
      expect(stops.some((one) => whole.text.includes(one))).toBe(false);
      expect(text.startsWith(whole.text)).toBe(true);
    }),
  );
});
