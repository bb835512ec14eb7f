// What the demo prints: lines, a training progress bar with the loss, and a table.

import { SingleBar } from 'cli-progress';

/** Prints a line. */
export function say(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** A progress bar for one run; `update` takes the run's state, `stop` leaves the last state on the screen. */
export function openTrainingBar() {
  const bar = new SingleBar({
    format: '  training [{bar}] {value}/{total} steps  loss {loss}',
    hideCursor: true,
    noTTYOutput: true,
    notTTYSchedule: 2_000,
  });
  let isStarted = false;
  return {
    update(run: { step: number; totalSteps: number; losses: readonly number[] }) {
      if (run.totalSteps === 0) return;
      const loss = run.losses.at(-1)?.toFixed(3) ?? '-';
      if (!isStarted) bar.start(run.totalSteps, run.step, { loss });
      isStarted = true;
      // a run that begins anew has other steps
      bar.setTotal(run.totalSteps);
      bar.update(run.step, { loss });
    },
    stop: () => bar.stop(),
  };
}

/** Prints rows under their headings, each column as wide as its longest cell. */
export function showTable(headings: readonly string[], rows: readonly (readonly string[])[]): void {
  const all = [headings, ...rows];
  const widths = headings.map((_, column) =>
    Math.max(...all.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  say(line(headings));
  say(widths.map((width) => '-'.repeat(width)).join('  '));
  for (const row of rows) say(line(row));
}
