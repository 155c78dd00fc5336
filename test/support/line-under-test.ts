/** A server behind a network with a bottleneck, for a program that runs at the other end of that network. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startLineServer } from '../../bench/line/line-server.js';
import { linesOf } from '../../bench/line/line-spec.js';
import { missingForLines } from '../../bench/line/network.js';
import { connect } from '../../src/index.js';
import type { ServerUnderTest } from './servers.js';

/** What the program in the network is told in its environment. */
const TOLD = ['BENCH_HOST', 'BENCH_PORT', 'BENCH_USER', 'BENCH_KEY', 'BENCH_HOST_KEY'] as const;

/**
 * Runs this very program once more, at the client's end of a network.
 *
 * @returns its exit code; `undefined` if this already is that program
 */
export async function runBehind(lineName: string): Promise<number | undefined> {
  if (process.env.BENCH_HOST !== undefined) return undefined;
  const missing = missingForLines();
  const [line] = linesOf(lineName);
  if (missing.length > 0 || line === undefined) throw new Error(`Missing: ${missing.join('; ')}`);
  await using server = await startLineServer(line);
  const [program = '', ...words] = [...(server.prefix ?? []), process.execPath, ...process.execArgv];
  const again = spawn(program, [...words, ...process.argv.slice(1)], { env: server.env, stdio: 'inherit' });
  const [status] = await once(again, 'exit');
  return status ?? 1;
}

export function serverBehind(): ServerUnderTest {
  const [host = '', port, username = '', privateKey = '', hostKey = ''] = TOLD.map(
    (name) => process.env[name],
  );
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-remote-'));
  const key = Buffer.from(hostKey.split(' ')[1] ?? '', 'base64');
  const fingerprint = `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
  return {
    folder,
    host,
    port: Number(port),
    path: (name) => join(folder, name),
    // Another port is that of a proxy at this end.
    connect: (options) =>
      connect(options?.port === undefined ? host : '127.0.0.1', {
        ...{ port: Number(port), username, privateKey, cnopts: { fingerprint, agent: false } },
        ...options,
      }),
    freeze: () => {},
    cut: () => {},
    stop: async () => rmSync(folder, { recursive: true, force: true }),
  };
}
