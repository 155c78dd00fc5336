/** Trees that are larger, deeper or longer than people expect. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Connection, SftpStatusError } from '../../../src/index.js';
import { runChild } from '../../support/child.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { connectToSshd, optionsForSshd } from '../../support/login.js';
import { needsOpenSsh, type Sshd, startSshd } from '../../support/sshd.js';

const ENTRIES = 100_000;
const COPIED = 1000;
/** In MiB, above what the process had at its beginning: room for what was listed, and for what the reports tell. */
const RSS_GROWTH_MIB = 350;

/** Tells what was found, and how much more memory the process has ever had than at the beginning. */
const SCRIPT = `
  const { readFileSync } = await import('node:fs');
  const peak = () => Number(/VmHWM:\\s+(\\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
  const sftp = await tsftp.connect(input.host, input.options);
  const start = peak();
  const names = await sftp.listdir(input.remote);
  const isSorted = names.every((name, index) => index === 0 || names[index - 1] < name);
  const filter = ({ name }) => name.endsWith('00');
  const down = await sftp.cd(input.remote, () => sftp.getR('.', input.target, { filter }));
  const growthMib = peak() - start;
  const { plan } = await sftp.mirror(input.remote, input.target, { direction: 'down', dryRun: true });
  await sftp.close();
  const count = ({ files, skipped, failed }) => [files, skipped.length, failed.length];
  const result = { names: names.length, isSorted, down: count(down), plan: plan.length };
  console.log(JSON.stringify({ ...result, growthMib }));`;

describe('large trees with OpenSSH', { skip: needsOpenSsh }, () => {
  let sshd: Sshd;
  let sftp: Connection;
  before(async () => {
    sshd = await startSshd({ hostKeyTypes: ['ed25519'] });
    sftp = await connectToSshd(sshd);
  });
  after(async () => {
    await sftp?.close();
    await sshd?.stop();
  });

  test('L6: 100,000 entries are listed and copied from in bounded memory, and compared', {
    timeout: 420_000,
  }, async (t) => {
    const folder = makeFolder(t);
    const remote = join(folder, 'remote');
    mkdirSync(remote);
    execFileSync('sh', ['-c', `seq -f 'entry %06.0f' 0 ${ENTRIES - 1} | xargs -d '\\n' touch`], {
      cwd: remote,
    });
    const target = join(folder, 'target');
    const input = { host: sshd.host, options: optionsForSshd(sshd), remote, target };
    const { exitCode, stdout, stderr } = await runChild(SCRIPT, input, { deadlineMs: 400_000 });
    assert.deepEqual([exitCode, stderr], [0, '']);
    const { growthMib, ...found } = JSON.parse(stdout) as { growthMib: number };
    const copied = [COPIED, ENTRIES - COPIED, 0];
    assert.deepEqual(found, { names: ENTRIES, isSorted: true, down: copied, plan: ENTRIES });
    assert.equal(snapshot(target).size, COPIED);
    t.diagnostic(`memory grew by ${growthMib.toFixed(0)} MiB`);
    assert.ok(growthMib < RSS_GROWTH_MIB, `${growthMib.toFixed(0)} MiB`);
  });

  test('L6: a tree of 64 levels arrives whole, both ways, and with its times', async (t) => {
    const folder = makeFolder(t);
    const source = join(folder, 'source');
    let directory = source;
    for (let level = 0; level < 64; level += 1) {
      directory = join(directory, `level ${level}`);
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, 'file'), `${level}`);
    }
    const options = { preserveMtime: true, preserveMode: true };
    const up = await sftp.putR(source, join(folder, 'up'), options);
    const down = await sftp.cd(join(folder, 'up'), () => sftp.getR('.', join(folder, 'down'), options));
    assert.deepEqual([up.files, up.directories, down.files, down.directories], [64, 64, 64, 64]);
    assert.deepEqual(snapshot(join(folder, 'up')), snapshot(source));
    assert.deepEqual(snapshot(join(folder, 'down')), snapshot(source));
    const mirrored = await sftp.mirror(source, join(folder, 'up'), { direction: 'up' });
    assert.deepEqual([mirrored.created, mirrored.updated, mirrored.kept], [0, 0, 128]);
  });

  test('L6: a path of 4,095 bytes is a path like others, and one of 4,096 an error that is typed', async (t) => {
    const folder = makeFolder(t);
    const path = pathOfLength(folder, 4095);
    mkdirSync(dirname(path), { recursive: true });
    const source = join(folder, 'source');
    writeFileSync(source, 'content');
    for (const atomic of [true, false]) {
      await sftp.put(source, path, { atomic });
      assert.equal(readFileSync(path, 'utf8'), 'content');
      await sftp.get(path, join(folder, 'down'), { atomic });
      assert.equal(readFileSync(join(folder, 'down'), 'utf8'), 'content');
      await sftp.get(join(folder, 'source'), path, { atomic });
      assert.equal(await sftp.normalize(path), path);
      await sftp.remove(path);
      assert.equal(await sftp.exists(path), false);
    }
    await assert.rejects(sftp.put(source, `${path}x`), SftpStatusError);
    await assert.rejects(sftp.get(source, `${path}x`), { code: 'ENAMETOOLONG' });
    rmSync(path, { force: true });
  });
});

/** Below a folder, with components of at most 255 bytes and a long last one. */
function pathOfLength(folder: string, length: number): string {
  let path = folder;
  while (path.length + 201 + 101 < length) path = `${path}/${'d'.repeat(200)}`;
  const left = length - path.length - 1;
  return left <= 255 ? `${path}/${'f'.repeat(left)}` : `${path}/${'e'.repeat(left - 101)}/${'f'.repeat(100)}`;
}
