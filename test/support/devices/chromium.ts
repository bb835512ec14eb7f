import { type Browser, chromium } from 'playwright-core';
import { requireProgram } from '../servers/programs.ts';

/** Starts the Chromium of this machine, which asks nothing of the network by itself. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: requireProgram('chromium'),
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  });
}
