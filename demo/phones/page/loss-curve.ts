// The loss of each step of a run as a curve: steps to the right, nats upwards from nothing.

import { elementOf, find } from './dom.ts';

const WIDTH = 320;
const HEIGHT = 120;
const LEFT = 30;
const BOTTOM = 18;
const TOP = 8;

/** The loss of a step; the first step is 1. */
export interface LossPoint {
  readonly step: number;
  readonly loss: number;
}

const DRAWING = `<svg class="curve" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Training loss">
  <g class="grid"></g><path class="area"/><polyline/><circle r="3.5"/></svg>`;

/** A curve, which is empty at first. */
export class LossCurve {
  readonly element = elementOf(DRAWING);

  /** Draws the points; the axis goes to the last step there is to be. */
  show(points: readonly LossPoint[], totalSteps: number): void {
    const last = points.at(-1);
    this.element.toggleAttribute('data-empty', last === undefined);
    const steps = Math.max(totalSteps, last?.step ?? 1, 2);
    const most = niceTop(Math.max(...points.map(({ loss }) => loss), 0.1));
    const x = (step: number) => LEFT + ((WIDTH - LEFT - 8) * (step - 1)) / (steps - 1);
    const y = (loss: number) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - loss / most);
    const places = points.map(({ step, loss }) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`);
    find(this.element, '.grid').innerHTML = gridOf(most, steps, { x, y });
    find(this.element, 'polyline').setAttribute('points', places.join(' '));
    const first = points[0];
    const isDrawn = first !== undefined && last !== undefined;
    const ends = isDrawn ? [x(first.step), x(last.step)].map((at) => at.toFixed(1)) : [];
    const area = isDrawn ? `M${ends[0]},${y(0)} L${places.join(' L')} L${ends[1]},${y(0)} Z` : '';
    find(this.element, '.area').setAttribute('d', area);
    const dot = find(this.element, 'circle');
    dot.setAttribute('cx', String(isDrawn ? x(last.step) : -9));
    dot.setAttribute('cy', String(isDrawn ? y(last.loss) : -9));
  }
}

/** Where the axis ends: not far above the largest loss. */
function niceTop(most: number): number {
  const unit = 10 ** Math.floor(Math.log10(most));
  return Math.ceil((most * 2) / unit) * (unit / 2);
}

function gridOf(
  most: number,
  steps: number,
  { x, y }: { x: (step: number) => number; y: (loss: number) => number },
): string {
  const lines = [0, most / 2, most].map(
    (loss) => `<line x1="${LEFT}" x2="${WIDTH - 8}" y1="${y(loss)}" y2="${y(loss)}"/>
      <text x="${LEFT - 5}" y="${y(loss) + 3}" text-anchor="end">${Number(loss.toPrecision(2))}</text>`,
  );
  const ends = [1, steps].map(
    (step) =>
      `<text x="${x(step)}" y="${HEIGHT - 4}" text-anchor="${step === 1 ? 'start' : 'end'}">${step === 1 ? 'step 1' : step}</text>`,
  );
  return [...lines, ...ends].join('');
}
