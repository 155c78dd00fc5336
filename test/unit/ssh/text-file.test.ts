import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  openSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isUnfit, readTextFile } from '../../../src/ssh/text-file.js';
import { startServer } from '../../../src/testing/index.js';
import { runChild } from '../../support/child.js';
import { makeFolder } from '../../support/folder.js';

const isWindows = process.platform === 'win32';

function read(path: string, maximumBytes = 10, encoding: 'utf8' | 'latin1' = 'utf8'): string {
  return readTextFile(path, { maximumBytes, encoding }).text;
}

function unfit(code: string, message: string): (error: NodeJS.ErrnoException) => boolean {
  return (error) => {
    assert.deepEqual([error.code, error.message, isUnfit(error)], [code, message, true]);
    return true;
  };
}

const TOO_LONG = 'it holds more than 2 KiB, the most that is read: check the path';
const PIPE = 'it is a pipe, which may never end: give a file in its place';
const DEVICE = 'it is a device: give a file in its place';

describe('a file of ssh', () => {
  test('is read whole, with the facts about it', (t) => {
    const file = join(makeFolder(t), 'file');
    const long = 'é'.repeat(100_000);
    writeFileSync(file, long);
    const { text, facts } = readTextFile(file, { maximumBytes: 200_000, encoding: 'utf8' });
    assert.ok(text === long);
    assert.deepEqual([facts.isFile(), facts.size], [true, 200_000]);
    writeFileSync(file, 'é');
    assert.equal(read(file, 10, 'latin1'), 'Ã©');
  });

  test('that is longer than it may be is refused, whatever its size claims', (t) => {
    const file = join(makeFolder(t), 'file');
    writeFileSync(file, 'x'.repeat(2048));
    assert.equal(read(file, 2048).length, 2048);
    writeFileSync(file, 'x', { flag: 'a' });
    assert.throws(() => read(file, 2048), unfit('EFBIG', TOO_LONG));
    truncateSync(file, 2 ** 40);
    assert.throws(() => read(file, 2048), unfit('EFBIG', TOO_LONG));
    const longer = 'it holds more than 3 MiB, the most that is read: check the path';
    assert.throws(() => read(file, 3 * 1024 * 1024), unfit('EFBIG', longer));
  });

  test('of /proc, whose size is 0, is read whole and no further than allowed', {
    skip: process.platform === 'linux' ? false : 'needs /proc',
  }, () => {
    assert.equal(read('/proc/version', 2048), readFileSync('/proc/version', 'utf8'));
    assert.throws(() => read('/proc/cpuinfo', 1), { code: 'EFBIG' });
  });

  test('is empty where it is the null device, also through a link', (t) => {
    assert.equal(read(devNull), '');
    if (isWindows) return;
    const link = join(makeFolder(t), 'link');
    symlinkSync(devNull, link);
    assert.equal(read(link), '');
  });

  test('that is a pipe or another device is refused without a look at what comes', {
    skip: isWindows,
  }, (t) => {
    const fifo = join(makeFolder(t), 'fifo');
    execFileSync('mkfifo', [fifo]);
    const writer = openSync(fifo, 'r+');
    t.after(() => closeSync(writer));
    writeSync(writer, 'x');
    assert.throws(() => read(fifo), unfit('EINVAL', PIPE));
    assert.throws(() => read('/dev/zero', 2048), unfit('EINVAL', DEVICE));
  });

  test('that the system does not give has the code for a reason', (t) => {
    const folder = makeFolder(t);
    const reason = (path: string) => {
      try {
        return read(path);
      } catch (error) {
        assert.equal(isUnfit(error), false);
        const { code, message, cause } = error as NodeJS.ErrnoException;
        assert.ok(cause instanceof Error);
        return [code, message];
      }
    };
    assert.deepEqual(reason(join(folder, 'none')), ['ENOENT', 'ENOENT']);
    const isDirectory = isWindows ? 'EPERM' : 'EISDIR';
    assert.deepEqual(reason(folder), [isDirectory, isDirectory]);
    assert.deepEqual(reason('secret\0'), ['ERR_INVALID_ARG_VALUE', 'ERR_INVALID_ARG_VALUE']);
  });
});

test('Whatever is named as known_hosts, configuration or key, connecting neither hangs nor grows', {
  skip: isWindows,
}, async (t) => {
  const server = await startServer({ files: {} }, { users: { me: 'a password that is in no path' } });
  t.after(() => server.close());
  const folder = makeFolder(t);
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const film = join(folder, 'film');
  writeFileSync(film, '');
  truncateSync(film, 2 ** 40);
  const devices = process.platform === 'linux' ? ['/dev/zero', '/dev/full'] : ['/dev/zero'];
  const files = [fifo, ...devices, film, devNull, folder];
  const configs = files.map((file, index) => {
    const config = join(folder, `config-${index}`);
    writeFileSync(config, `UserKnownHostsFile ${file}\nGlobalKnownHostsFile none\n`);
    return config;
  });
  const { host, port, username, password } = server;
  const input = { files, configs, host, login: { port, username, password } };
  // In a process of its own: what hangs here hangs all.
  const { stdout, stderr, exitCode } = await runChild(TRY_EVERYWHERE, input, { deadlineMs: 30_000 });
  assert.equal(exitCode, 0, stderr);
  const { said, mostKiB } = JSON.parse(stdout) as { said: Record<string, unknown>; mostKiB: number };
  assert.ok(mostKiB < 400 * 1024, `${mostKiB} KiB`);

  const refused = (file: string, [known, config, key]: readonly [string, string, string]) => {
    const knownHosts = `KNOWN_HOSTS_UNUSABLE: cannot read the known_hosts file ${file}: ${known}`;
    return {
      knownHosts,
      acceptNew: knownHosts,
      configured: knownHosts,
      config: `CONFIG_UNUSABLE: Cannot use the ssh configuration ${file}: ${config}`,
      key: `KEY_UNREADABLE: Cannot read the private key ${file}: ${key}`,
    };
  };
  const tooLong = (most: string) => `it holds more than ${most}, the most that is read: check the path`;
  assert.deepEqual(said[fifo], refused(fifo, [PIPE, PIPE, PIPE]));
  for (const device of devices) assert.deepEqual(said[device], refused(device, [DEVICE, DEVICE, DEVICE]));
  assert.deepEqual(said[film], refused(film, [tooLong('64 MiB'), tooLong('4 MiB'), tooLong('256 KiB')]));
  // As for ssh, a configured file that cannot be read knows no host.
  const configured = 'HOST_KEY_UNKNOWN';
  assert.deepEqual(said[folder], { ...refused(folder, ['EISDIR', 'EISDIR', 'EISDIR']), configured });
  assert.deepEqual(said[devNull], {
    knownHosts: `KNOWN_HOSTS_UNUSABLE: The known_hosts file ${devNull} has no usable key`,
    acceptNew: 'connected',
    configured,
    config: 'connected',
    key: `INVALID_KEY: ${devNull} is not a private key in a format that we know`,
  });
});

const TRY_EVERYWHERE = `
  const { files, configs, host, login } = input;
  const end = async (connection) => {
    await connection.close();
    return 'connected';
  };
  const say = ({ code, message }) => (code === 'HOST_KEY_UNKNOWN' ? code : code + ': ' + message);
  const open = (cnopts, options = {}) => {
    const given = () => ({ ...login, ...options, cnopts: { agent: false, ...cnopts } });
    // Options are checked at once.
    return Promise.resolve().then(() => tsftp.connect(host, given())).then(end, say);
  };
  const said = {};
  for (const [index, file] of files.entries())
    said[file] = {
      knownHosts: await open({ knownhosts: file }),
      acceptNew: await open({ knownhosts: file, hostKeyPolicy: 'accept-new' }),
      configured: await open({ config: configs[index] }),
      config: await open({ hostkeys: null, config: file }),
      key: await open({ hostkeys: null }, { privateKey: file }),
    };
  console.log(JSON.stringify({ said, mostKiB: process.resourceUsage().maxRSS }));`;
