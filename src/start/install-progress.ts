// The progress of an install on the terminal: a bar where there is one, else a line now and then.

import { SingleBar } from 'cli-progress';
import type { InstallProgress } from '../model/base/base-source.ts';

/** Shows how far an install is. */
export interface ProgressDisplay {
  show(progress: InstallProgress): void;
  /** Gives the terminal back. */
  end(): void;
}

const STAGE_NAMES: { readonly [S in InstallProgress['stage']]: string } = {
  download: 'Downloading the base model',
  unpack: 'Unpacking the base model',
  convert: 'Preparing the base model',
};

/** A display on the stream: a bar if it is a terminal, else a line per tenth. */
export function openProgressDisplay(stream: NodeJS.WriteStream): ProgressDisplay {
  return stream.isTTY ? barDisplay(stream) : lineDisplay(stream);
}

function barDisplay(stream: NodeJS.WriteStream): ProgressDisplay {
  const bar = new SingleBar({
    stream,
    format: '{stage} [{bar}] {doneMb} of {totalMb} MB',
    barsize: 30,
    hideCursor: true,
  });
  let current: InstallProgress['stage'] | null = null;
  const end = () => {
    if (current !== null) bar.stop();
    current = null;
  };
  return {
    show({ stage, doneBytes, totalBytes }) {
      const total = totalBytes ?? doneBytes;
      const payload = {
        stage: STAGE_NAMES[stage],
        doneMb: megabytes(doneBytes),
        totalMb: megabytes(total),
      };
      if (stage !== current) {
        end();
        bar.start(total, doneBytes, payload);
        current = stage;
      }
      bar.setTotal(total);
      bar.update(doneBytes, payload);
    },
    end,
  };
}

function lineDisplay(stream: { write(text: string): unknown }): ProgressDisplay {
  let last = '';
  return {
    show({ stage, doneBytes, totalBytes }) {
      const tenths =
        totalBytes === null ? 0 : Math.floor((10 * doneBytes) / Math.max(1, totalBytes));
      const line = `${STAGE_NAMES[stage]}: ${tenths * 10} %\n`;
      if (line !== last) stream.write(line);
      last = line;
    },
    end: () => undefined,
  };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
