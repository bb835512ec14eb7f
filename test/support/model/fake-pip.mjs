// Stands in for pip: answers as the JSON file says that is its first argument, and writes down what it was asked.
//   report   what `install --dry-run --report -` prints; without it that fails, as in old versions
//   wheel    the file that `download` copies; without it that fails, as without a network
//   noPip    a Python without pip
//   hang     never ends

import { appendFileSync, copyFileSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const [configPath, command, ...args] = process.argv.slice(2);
const config = JSON.parse(readFileSync(configPath, 'utf8'));
appendFileSync(`${configPath}.log`, `${command}\n`);

function fail(words) {
  process.stderr.write(`WARNING: first words\n${words}\n`);
  process.exit(1);
}

if (config.hang) setInterval(() => undefined, 1000);
else if (config.noPip) fail('/usr/bin/python3: No module named pip');
else if (command === 'install') {
  if (config.report === undefined) fail('no such option: --report');
  process.stdout.write(JSON.stringify(config.report));
} else {
  if (config.wheel === undefined) fail('ERROR: No matching distribution found');
  copyFileSync(config.wheel, join(args[args.indexOf('--dest') + 1], basename(config.wheel)));
}
