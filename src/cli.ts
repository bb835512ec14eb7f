// The command line: which commands there are and what they take. Flags come from the table of settings.

import { resolve } from 'node:path';
import { Argument, Command, CommanderError, Option } from 'commander';
import { issueToken } from './auth/tokens.ts';
import { type Config, type Flags, keysDirOf, readConfig, SETTINGS } from './config.ts';
import { systemClock } from './lib/clock.ts';
import { must } from './lib/errors.ts';
import { StartError } from './lib/start-error.ts';
import type { TrainGlobalArguments } from './start/train-global.ts';
import { rotateManifestKeys } from './sync/manifest-keys.ts';

/** What a process does: everything, answer, or train. */
export type Role = 'all' | 'serve' | 'train';

/** What the commands do and where they write. */
export interface CliActions {
  /** Runs processes until they are told to stop. */
  run(role: Role, config: Config): Promise<void>;
  /** To standard output. */
  print(text: string): void;
}

/** Runs the command that the arguments name, `all` if none. Throws ConfigError or AppError on values that do not fit,
 *  CommanderError on arguments that do not, after usage or help has been written. */
export async function runCli(args: readonly string[], actions: CliActions): Promise<void> {
  await createProgram(actions).parseAsync(args, { from: 'user' });
}

/** The exit code of an error that commander has explained to the user already; undefined for other errors. */
export function explainedExitCode(error: unknown): number | undefined {
  return error instanceof CommanderError ? error.exitCode : undefined;
}

const ROLES: Readonly<Record<Role, string>> = {
  all: 'start the server, with everything in one process',
  serve: 'start a server that leaves training to others on the same PostgreSQL',
  train: 'train what servers on the same PostgreSQL ask for',
};

type SettingKey = keyof typeof SETTINGS;
/** Flags as commander collects them, by its own names. */
type Options = Readonly<Record<string, string | undefined>>;

const SETTING_KEYS = Object.keys(SETTINGS) as SettingKey[];
/** What opens sealed data. */
const KEY_SETTINGS = ['dataDir', 'keysDir', 'masterKeys', 'kms', 'kmsToken'] as const;

function createProgram(actions: CliActions): Command {
  const program = new Command('attune')
    .description("Keeps one small LoRA per user and behaviour in tune with that user's data.")
    .exitOverride();
  for (const [role, description] of Object.entries(ROLES)) {
    const command = program
      .command(role, { isDefault: role === 'all' })
      .description(description)
      .action((options: Options) => actions.run(role as Role, readConfig(flagsOf(options))));
    for (const key of SETTING_KEYS) command.addOption(optionOf(key));
  }
  program
    .command('token')
    .description('print a token for a user, also while a server is running')
    .requiredOption('--user <name>', 'who the token speaks for')
    .addOption(optionOf('dataDir'))
    .addOption(optionOf('keysDir'))
    .action(async (options: Options & { readonly user: string }) => {
      const keysDir = keysDirOf(readConfig(flagsOf(options)));
      actions.print(`${await issueToken(keysDir, options.user, systemClock)}\n`);
    });
  addRotateKeys(program, actions);
  program
    .command('verify-receipt <file>')
    .description('check the receipt of an erasure, with no server and no keys')
    .option(
      '--key <id>',
      'the key that must have signed it, as /.well-known/attune-keys.json has it',
    )
    .action(async (file: string, { key }: { readonly key?: string }) => {
      const { verifyReceipt } = await import('./erasure/verify-receipt.ts');
      actions.print(await verifyReceipt(file, key));
    });
  addTrainGlobal(program, actions);
  addOperations(program, actions);
  return program;
}

/** What each rotation does; it prints the outcome in a line. */
const ROTATIONS: Readonly<Record<string, (config: Config) => Promise<string>>> = {
  manifest: (config) => rotateManifestKeys(keysDirOf(config)),
  master: async (config) => (await import('./operations/operate.ts')).rotateMaster(config),
  data: async (config) => (await import('./operations/operate.ts')).rotateData(config),
};

function addRotateKeys(program: Command, { print }: CliActions): void {
  const which = new Argument('[keys]', 'those that sign manifests, wrap data keys, or seal data')
    .choices(Object.keys(ROTATIONS))
    .default('manifest');
  const command = program
    .command('rotate-keys')
    .description('take new keys into use, also while servers run; after a kill, call it again')
    .addArgument(which)
    .action(async (keys: string, options: Options) => {
      const rotate = must(ROTATIONS[keys], 'one of the choices');
      print(`${await rotate(readConfig(flagsOf(options)))}\n`);
    });
  for (const key of [...KEY_SETTINGS, 'databaseUrl', 'blobUrl'] as const)
    command.addOption(optionOf(key));
}

function addTrainGlobal(program: Command, { print }: CliActions): void {
  const command = program
    .command('train-global')
    .description('train the adapter that a mode ships, which all its users begin from')
    .requiredOption('--mode <key>', 'the mode')
    .requiredOption('--data <file>', 'what to learn from: a JSON object a line (docs/training.md)')
    .requiredOption('--out <folder>', 'the adapter folder to make')
    .action(async (options: Options & TrainGlobalArguments) => {
      const { trainGlobalCommand } = await import('./start/train-global.ts');
      await trainGlobalCommand(readConfig(flagsOf(options)), options, print);
    });
  for (const key of ['model', 'cacheDir', 'hubUrl', 'modesDir'] as const)
    command.addOption(optionOf(key));
}

/** The commands of those who run a deployment; what they do is loaded only when they are called. */
function addOperations(program: Command, { print }: CliActions): void {
  const doctor = program
    .command('doctor')
    .description('check what a server with these settings needs')
    .action(async (options: Options) => {
      const operate = await import('./operations/operate.ts');
      const { isWell, text } = await operate.doctor(readConfig(flagsOf(options)));
      print(text);
      if (!isWell) throw new StartError('Something is wrong: see the lines with FAULT.');
    });
  for (const key of SETTING_KEYS) doctor.addOption(optionOf(key));
  addJobs(program, print);
  addMigrate(program, print);
  program
    .command('users')
    .description('list the newest users')
    .addOption(optionOf('dataDir'))
    .addOption(optionOf('databaseUrl'))
    .action(async (options: Options) => {
      const operate = await import('./operations/operate.ts');
      print(await operate.perform(readConfig(flagsOf(options)), { name: 'users' }));
    });
  const copies = {
    backup: 'copy database and adapters into a new folder, also while servers work',
    restore: 'read such a copy into an empty database',
  } as const;
  for (const [name, description] of Object.entries(copies)) {
    const command = program
      .command(`${name} <folder>`)
      .description(description)
      .action(async (given: string, options: Options) => {
        const operate = await import('./operations/operate.ts');
        const [config, folder] = [readConfig(flagsOf(options)), resolve(given)];
        const copying =
          name === 'backup'
            ? operate.perform(config, { name, folder })
            : operate.restoreBackup(config, folder);
        print(await copying);
      });
    for (const key of [...KEY_SETTINGS, 'databaseUrl', 'blobUrl'] as const)
      command.addOption(optionOf(key));
  }
}

function addMigrate(program: Command, print: CliActions['print']): void {
  const command = program
    .command('migrate')
    .description('bring the tables of the database up to date, before new servers start')
    .action(async (options: Options) => {
      const operate = await import('./operations/operate.ts');
      await operate.migrateDatabase(readConfig(flagsOf(options)), print);
    });
  for (const key of [...KEY_SETTINGS, 'databaseUrl'] as const) command.addOption(optionOf(key));
}

function addJobs(program: Command, print: CliActions['print']): void {
  interface JobsOptions {
    readonly retry?: true;
    readonly drain?: true;
    readonly resume?: true;
  }
  program
    .command('jobs')
    .description('list the runs that wait, run or have failed')
    .option('--retry', 'queue again what failed last')
    .option('--drain', 'let trainers take no more runs, and wait until none is being trained')
    .option('--resume', 'let trainers take runs again')
    .addOption(optionOf('dataDir'))
    .addOption(optionOf('databaseUrl'))
    .addOption(optionOf('redisUrl'))
    .action(async ({ retry, drain, resume, ...options }: Options & JobsOptions) => {
      const config = readConfig(flagsOf(options));
      if (drain || resume) {
        const { drainJobs, resumeJobs } = await import('./start/drain-jobs.ts');
        await (drain ? drainJobs : resumeJobs)(config, print);
        return;
      }
      const operate = await import('./operations/operate.ts');
      print(await operate.perform(config, { name: retry ? 'retry' : 'jobs' }));
    });
}

function optionOf(key: SettingKey): Option {
  const { flag, placeholder, description, env, fallback } = SETTINGS[key];
  const standard = fallback === null ? '' : `, else ${fallback}`;
  return new Option(`${flag} <${placeholder}>`, `${description} (${env}${standard})`);
}

function flagsOf(options: Options): Flags {
  return Object.fromEntries(
    SETTING_KEYS.map((key) => [key, options[optionOf(key).attributeName()]]),
  );
}
