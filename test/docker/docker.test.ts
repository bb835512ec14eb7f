// What can be checked of the container files where no container runs: that they are sound and name only what there is.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { validate } from 'dockerfile-utils';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { SETTINGS } from '../../src/config.ts';
import { DEFAULT_MODEL } from '../../src/model/download/wheel.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (name: string) => readFileSync(join(ROOT, 'docker', name), 'utf8');
const ROLES = ['all', 'serve', 'train'];
/** Ours by their prefix, and those that name other servers. */
const variables = new Set<string>(Object.values(SETTINGS).map(({ env }) => env));
const isOurs = (name: string) => /^ATTUNE_|_URL$|^PORT$|^HF_/.test(name);

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, unknown>>;
  readonly volumes?: readonly string[];
  readonly read_only?: boolean;
}

describe('the Dockerfile', () => {
  const text = read('Dockerfile');
  it('has no mistake that a linter finds', () => {
    expect(validate(text)).toEqual([]);
  });

  it('runs as a user without rights, with a health check', () => {
    expect(text.match(/^USER .*/gm)?.at(-1)).toBe('USER node');
    expect(text).toMatch(/^HEALTHCHECK /m);
  });

  it('copies only what is there, and starts what there is', () => {
    const copied = [...text.matchAll(/^COPY (?!--)(.+) \S+$/gm)].flatMap(([, from]) =>
      (from ?? '').split(' '),
    );
    expect(copied.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    const entry = JSON.parse(text.match(/^ENTRYPOINT (.*)$/m)?.[1] ?? '[]');
    expect(entry).toEqual(['node', 'src/main.js']);
    expect(existsSync(join(ROOT, 'dist/server', 'src/main.js'))).toBe(true);
    expect(ROLES).toContain(JSON.parse(text.match(/^CMD (.*)$/m)?.[1] ?? '[]')[0]);
  });

  it('sets only variables that there are', () => {
    const set = [...text.matchAll(/\b([A-Z][A-Z_]+)=/g)].map(([, name]) => name ?? '');
    expect(set.filter((name) => isOurs(name) && !variables.has(name))).toEqual([]);
  });

  it('has the default base model', () => {
    for (const part of [
      DEFAULT_MODEL.requirement,
      DEFAULT_MODEL.wheel.name,
      DEFAULT_MODEL.gguf.name,
    ])
      expect(text).toContain(part);
  });
});

describe('compose.yaml', () => {
  const compose = parse(read('compose.yaml'), { merge: true });
  const services: Readonly<Record<string, Service>> = compose.services;
  const ours = Object.values(services).filter(({ image }) => image === 'attune');

  it('starts roles that there are, with settings that there are', () => {
    expect(ours.map(({ command }) => command)).toEqual([['serve'], ['train']]);
    for (const { environment = {} } of ours) {
      expect(Object.keys(environment).filter((name) => !variables.has(name))).toEqual([]);
    }
  });

  it('mounts volumes only on folders that the image gives to its user', () => {
    const made =
      read('Dockerfile')
        .match(/mkdir -p (.*) &&/)?.[1]
        ?.split(' ') ?? [];
    const mounted = ours.flatMap(({ volumes = [] }) => volumes.map((text) => text.split(':')[1]));
    expect(mounted.length).toBeGreaterThan(0);
    expect(mounted.filter((path) => !made.includes(path ?? ''))).toEqual([]);
  });

  it('keeps the root file systems read-only, and what matters on disk', () => {
    expect(ours.map((service) => service.read_only)).toEqual([true, true]);
    expect(services.redis?.command).toEqual(
      expect.arrayContaining(['--appendonly', 'yes', '--maxmemory-policy', 'noeviction']),
    );
    expect(services.postgres?.environment).toMatchObject({
      POSTGRES_INITDB_ARGS: '--data-checksums',
    });
  });
});

describe('kubernetes.yaml', () => {
  const objects = parseAllDocuments(read('kubernetes.yaml')).map((document) => document.toJS());
  const containers = objects
    .filter(({ kind }) => kind === 'Deployment')
    .flatMap(({ spec }) => spec.template.spec.containers);

  it('starts roles that there are, with settings that there are', () => {
    expect(containers.map(({ args }) => args)).toEqual([['serve'], ['train']]);
    const named = containers.flatMap(({ env = [] }) =>
      env.map(({ name }: { name: string }) => name),
    );
    const mapped = objects.flatMap(({ kind, data }) =>
      kind === 'ConfigMap' ? Object.keys(data) : [],
    );
    expect([...named, ...mapped].filter((name) => !variables.has(name))).toEqual([]);
  });

  it('restarts what does not live, and lets what cannot work wait', () => {
    for (const { livenessProbe, readinessProbe } of containers)
      expect([livenessProbe.httpGet.path, readinessProbe.httpGet.path]).toEqual([
        '/healthz',
        '/readyz',
      ]);
  });

  it('gives every process its writable folders', () => {
    for (const { volumeMounts } of containers) {
      const paths = volumeMounts.map(({ mountPath }: { mountPath: string }) => mountPath);
      expect(paths).toEqual(
        expect.arrayContaining(['/tmp', '/var/lib/attune', '/var/cache/attune']),
      );
    }
  });

  it('lets no container write to its root file system or gain rights', () => {
    for (const { securityContext } of containers)
      expect(securityContext).toMatchObject({
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
      });
  });
});
