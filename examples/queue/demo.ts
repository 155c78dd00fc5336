// Starts everything on this machine: Redis, three SFTP servers with files, a lister and two workers; and shows what they do.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { startServer } from 'tsftp/testing';
import { startRedis } from './redis-server.js';

const FILES = Number(process.env.DEMO_FILES ?? 20);
const folder = await mkdtemp(join(tmpdir(), 'tsftp-queue-'));
await mkdir(join(folder, 'redis'));
await using redis = process.env.REDIS_URL ? undefined : await startRedis(join(folder, 'redis'));

const names = ['north', 'south', 'east'];
const servers = await Promise.all(
  names.map(async (name) => {
    const root = join(folder, name);
    await mkdir(join(root, 'outgoing'), { recursive: true });
    for (let index = 0; index < FILES; index += 1) {
      await writeFile(join(root, 'outgoing', `${name}-${index}.csv`), `${name} ${index}\n`.repeat(1000));
    }
    return { name, server: await startServer({ root }) };
  }),
);
const secrets = servers.map(({ name, server }) => [name, { password: server.password }]);
const descriptions = servers.map(({ name, server: { host, port, username, hostKey } }) => {
  return { v: 1, host, port, username, secret: name, fingerprint: hostKey.fingerprint };
});
const target = join(folder, 'arrived');
const settings = { servers: descriptions, source: '/outgoing', done: '/done', target };
const [settingsFile, secretsFile] = [join(folder, 'settings.json'), join(folder, 'secrets.json')];
await writeFile(settingsFile, JSON.stringify(settings));
await writeFile(secretsFile, JSON.stringify(Object.fromEntries(secrets)), { mode: 0o600 });
const url = redis?.url ?? process.env.REDIS_URL;
const env = { ...process.env, REDIS_URL: url, QUEUE_SETTINGS: settingsFile, QUEUE_SECRETS: secretsFile };
console.log(`REDIS_URL=${url} QUEUE_SETTINGS=${settingsFile} QUEUE_SECRETS=${secretsFile}`);

function run(program: string, show: (line: string) => void): ChildProcess {
  const file = new URL(program, import.meta.url).pathname;
  const child = spawn(process.execPath, ['--import', 'tsx', file], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  createInterface({ input: child.stdout }).on('line', show);
  return child;
}

const counts = new Map<string, number>();
const children = [run('lister.ts', () => {})];
for (const name of ['worker 1', 'worker 2']) {
  const count = (line: string) => {
    const { event, outcome, path, durationMs, bytes } = JSON.parse(line);
    if (event !== 'end') return;
    counts.set(name, (counts.get(name) ?? 0) + 1);
    console.log(`${name}: ${outcome} ${path}, ${bytes} bytes in ${durationMs} ms`);
  };
  children.push(run('worker.ts', count));
}
const arrived = async () => {
  const found = await readdir(target, { recursive: true }).catch(() => []);
  return found.filter((name) => name.endsWith('.csv')).length;
};
const total = FILES * names.length;
while ((await arrived()) < total && children.every(({ exitCode }) => exitCode === null)) await wait(200);
for (const child of children) child.kill('SIGTERM');
await Promise.all(children.map((child) => child.exitCode ?? once(child, 'exit')));
console.log(`${await arrived()} of ${total} files arrived, by ${JSON.stringify(Object.fromEntries(counts))}`);
for (const { server } of servers) await server.close();
await rm(folder, { recursive: true });
