import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { GetOptions, PutOptions } from '../../../src/index.js';
import { localFileSystem } from '../../../src/transfer/local/local.js';
import { UNKNOWN_INFO } from '../../../src/transfer/memory.js';
import { restingPath, sourceMark } from '../../../src/transfer/resume/temporary-file.js';
import { runChild } from '../../support/child.js';
import { makeFolder, sha256 } from '../../support/folder.js';
import { connectToSshd, optionsForSshd } from '../../support/login.js';
import { needsOpenSsh, startSshd } from '../../support/sshd.js';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const RSS_LIMIT_MIB = 150;

/** A file of 1 GiB in which every MiB differs, most of it holes. */
function makeLargeFile(path: string): void {
  const file = openSync(path, 'w');
  for (let offset = 0; offset < GIB; offset += MIB) writeSync(file, `at ${offset}`, offset + (offset % 7919));
  writeSync(file, 'end', GIB - 3);
  closeSync(file);
}

/** The compiler takes memory of its own, so the process that is measured must do without. */
function compile(folder: string): string {
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const build = join(folder, 'build');
  const options = ['--outDir', build, '--noCheck', '--declaration', 'false'];
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.build.json'), ...options]);
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return build;
}

/** Tells the most memory that the process has ever had, as the kernel counts it. */
const SCRIPT = `
  const { readFileSync } = await import('node:fs');
  const sftp = await tsftp.connect(input.host, input.options);
  const seen = { put: 0, get: 0 };
  const watch = (name) => (transferred, total) => {
    if (transferred < seen[name] || total !== input.size) throw new Error('progress goes wrong');
    seen[name] = transferred;
  };
  await sftp.put(input.source, input.remote, { callback: watch('put') });
  await sftp.get(input.remote, input.target, { callback: watch('get') });
  await sftp.close();
  const [, peak] = /VmHWM:\\s+(\\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
  console.log(JSON.stringify({ peakMib: Number(peak) / 1024, ...seen }));`;

describe('large and strange files of OpenSSH', { skip: needsOpenSsh }, () => {
  test('1 GiB travels both ways in less than 150 MiB of memory, identical', {
    timeout: 240_000,
  }, async (t) => {
    const sshd = await startSshd();
    t.after(() => sshd.stop());
    const folder = makeFolder(t);
    const paths = ['source', 'remote', 'target'].map((name) => join(folder, name));
    const [source = '', remote = '', target = ''] = paths;
    makeLargeFile(source);
    const input = { host: sshd.host, options: optionsForSshd(sshd), size: GIB, source, remote, target };
    const build = compile(folder);
    const { exitCode, stdout, stderr } = await runChild(SCRIPT, input, { deadlineMs: 200_000, build });
    assert.deepEqual([exitCode, stderr], [0, '']);
    const { peakMib, put, get } = JSON.parse(stdout) as { peakMib: number; put: number; get: number };
    assert.deepEqual([put, get], [GIB, GIB]);
    t.diagnostic(`peak RSS ${peakMib.toFixed(0)} MiB`);
    assert.ok(peakMib < RSS_LIMIT_MIB, `${peakMib.toFixed(0)} MiB`);
    const [first, second, third] = await Promise.all(paths.map(sha256));
    assert.deepEqual([second, third], [first, first]);
    for (const path of paths) rmSync(path);
  });

  for (const offset of [-1, 0, 1]) {
    test(`L4: a file of 4 GiB${['-1', '', '+1'][offset + 1]} bytes goes on beyond the border of 32 bits, both ways`, async (t) => {
      const size = 4 * GIB + offset;
      const start = size - 5 * MIB;
      const sshd = await startSshd();
      t.after(() => sshd.stop());
      const folder = makeFolder(t);
      for (const name of ['remote', 'local', 'down', 'up']) mkdirSync(join(folder, name));
      const tail = randomBytes(6 * MIB);
      for (const side of ['remote', 'local']) {
        const file = openSync(join(folder, side, 'file'), 'w');
        writeSync(file, tail, 0, tail.length, size - tail.length);
        closeSync(file);
      }
      const sftp = await connectToSshd(sshd);
      t.after(() => sftp.close());
      const run = {
        down: (options: GetOptions) =>
          sftp.get(join(folder, 'remote', 'file'), join(folder, 'down', 'file'), options),
        up: (options: PutOptions) =>
          sftp.put(join(folder, 'local', 'file'), join(folder, 'up', 'file'), options),
      };
      for (const way of ['down', 'up'] as const) {
        // What an earlier run has left: all but the last 5 MiB, most of it holes.
        const place = { fileSystem: localFileSystem, path: Buffer.from(join(folder, way, 'file')) };
        const source = join(folder, way === 'down' ? 'remote' : 'local', 'file');
        const { mtimeMs } = statSync(source);
        const mtime = way === 'down' ? Math.floor(mtimeMs / 1000) : mtimeMs / 1000;
        const mark = sourceMark(Buffer.from(source), { ...UNKNOWN_INFO, size, mtime });
        const partial = openSync(restingPath(place, mark), 'w');
        writeSync(partial, tail, 0, MIB, start - MIB);
        closeSync(partial);
        const figures: (readonly [number, number])[] = [];
        await run[way]({ resume: true, callback: (done, total) => figures.push([done, total]) });
        assert.ok((figures[0]?.[0] ?? 0) > start, `began at ${figures[0]?.[0]}`);
        assert.deepEqual(figures.at(-1), [size, size]);
        const file = openSync(join(folder, way, 'file'), 'r');
        const found = Buffer.alloc(8 * MIB);
        const count = readSync(file, found, 0, found.length, size - 7 * MIB);
        closeSync(file);
        assert.deepEqual(found.subarray(0, count), Buffer.concat([Buffer.alloc(MIB), tail]));
        assert.equal(statSync(join(folder, way, 'file')).size, size);
      }
    });
  }

  test('L5: files of /proc, whose size is told as 0, come whole', async (t) => {
    const sshd = await startSshd();
    t.after(() => sshd.stop());
    const folder = makeFolder(t);
    const sftp = await connectToSshd(sshd);
    t.after(() => sftp.close());
    const figures: number[][] = [];
    await sftp.get('/proc/version', join(folder, 'version'), {
      callback: (transferred, total) => figures.push([transferred, total]),
    });
    const version = readFileSync('/proc/version');
    assert.ok(version.length > 0);
    assert.deepEqual(readFileSync(join(folder, 'version')), version);
    assert.deepEqual(figures.at(-1), [version.length, version.length]);
    // Longer than what the kernel gives at once, and the same at every reading.
    await sftp.get('/proc/iomem', join(folder, 'memory'));
    assert.deepEqual(readFileSync(join(folder, 'memory')), readFileSync('/proc/iomem'));
    // As a source on our side too.
    await sftp.put('/proc/version', join(folder, 'up'));
    assert.deepEqual(readFileSync(join(folder, 'up')), version);
  });
});
