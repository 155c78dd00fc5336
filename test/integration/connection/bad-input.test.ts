/** Invalid arguments is refused with an error that says why, and nothing is sent. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Connection } from '../../../src/index.js';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { connectToServer } from '../../support/login.js';

const world: { server?: TestServer; sftp?: Connection } = {};
before(async () => {
  world.server = await startServer({ files: { 'a.txt': 'a', 'd/': '' } });
  world.sftp = await connectToServer(world.server);
  // The server's limits are asked for at the start.
  await world.sftp.stat('.');
});
after(() => world.server?.close());

type Call = (sftp: Connection, value: never) => unknown;

/** Every parameter that is a remote path, with its name in messages. */
const remotePaths: Readonly<Record<string, readonly [string, Call]>> = {
  chdir: ['path', (sftp, path) => sftp.chdir(path)],
  cwd: ['path', (sftp, path) => sftp.cwd(path)],
  cd: ['path', (sftp, path) => sftp.cd(path, () => {})],
  normalize: ['path', (sftp, path) => sftp.normalize(path)],
  listdir: ['path', (sftp, path) => sftp.listdir(path)],
  listdirAttr: ['path', (sftp, path) => sftp.listdirAttr(path)],
  stat: ['path', (sftp, path) => sftp.stat(path)],
  lstat: ['path', (sftp, path) => sftp.lstat(path)],
  exists: ['path', (sftp, path) => sftp.exists(path)],
  lexists: ['path', (sftp, path) => sftp.lexists(path)],
  isdir: ['path', (sftp, path) => sftp.isdir(path)],
  isfile: ['path', (sftp, path) => sftp.isfile(path)],
  readlink: ['path', (sftp, path) => sftp.readlink(path)],
  statvfs: ['path', (sftp, path) => sftp.statvfs(path)],
  expandPath: ['path', (sftp, path) => sftp.expandPath(path)],
  glob: ['pattern', (sftp, pattern) => sftp.glob(pattern)],
  walktree: ['path', (sftp, path) => sftp.walktree(path, ignore, ignore, ignore)],
  walk: ['path', async (sftp, path) => sftp.walk(path).next()],
  mkdir: ['path', (sftp, path) => sftp.mkdir(path)],
  makedirs: ['path', (sftp, path) => sftp.makedirs(path)],
  rmdir: ['path', (sftp, path) => sftp.rmdir(path)],
  rmtree: ['path', (sftp, path) => sftp.rmtree(path)],
  remove: ['path', (sftp, path) => sftp.remove(path)],
  unlink: ['path', (sftp, path) => sftp.unlink(path)],
  'rename from': ['source', (sftp, path) => sftp.rename(path, 'b')],
  'rename to': ['destination', (sftp, path) => sftp.rename('a.txt', path)],
  'posixRename from': ['source', (sftp, path) => sftp.posixRename(path, 'b')],
  'posixRename to': ['destination', (sftp, path) => sftp.posixRename('a.txt', path)],
  'symlink from': ['source', (sftp, path) => sftp.symlink(path, 'b')],
  'symlink to': ['destination', (sftp, path) => sftp.symlink('a.txt', path)],
  'hardlink from': ['source', (sftp, path) => sftp.hardlink(path, 'b')],
  'hardlink to': ['destination', (sftp, path) => sftp.hardlink('a.txt', path)],
  'copy from': ['source', (sftp, path) => sftp.copy(path, 'b')],
  'copy to': ['destination', (sftp, path) => sftp.copy('a.txt', path)],
  chmod: ['path', (sftp, path) => sftp.chmod(path, 644)],
  chown: ['path', (sftp, path) => sftp.chown(path, 1, 2)],
  truncate: ['path', (sftp, path) => sftp.truncate(path, 0)],
  utime: ['path', (sftp, path) => sftp.utime(path)],
  checksum: ['remotepath', (sftp, path) => sftp.checksum(path)],
  open: ['file', (sftp, path) => sftp.open(path)],
  readFile: ['path', (sftp, path) => sftp.readFile(path)],
  writeFile: ['path', (sftp, path) => sftp.writeFile(path, 'x')],
  appendFile: ['path', (sftp, path) => sftp.appendFile(path, 'x')],
  createReadStream: ['path', async (sftp, path) => sftp.createReadStream(path)],
  createWriteStream: ['path', async (sftp, path) => sftp.createWriteStream(path)],
  getfo: ['remotepath', (sftp, path) => sftp.getfo(path, { write: ignore })],
  putfo: ['remotepath', (sftp, path) => sftp.putfo('x', path)],
  touch: ['path', (sftp, path) => sftp.touch(path)],
  get: ['remotepath', (sftp, path) => sftp.get(path, 'x')],
  getD: ['remotedir', (sftp, path) => sftp.getD(path, 'x')],
  getR: ['remotedir', (sftp, path) => sftp.getR(path, 'x')],
  put: ['remotepath', (sftp, path) => sftp.put('x', path)],
  putD: ['remotepath', (sftp, path) => sftp.putD('x', path)],
  putR: ['remotepath', (sftp, path) => sftp.putR('x', path)],
};

const localPaths: Readonly<Record<string, readonly [string, Call]>> = {
  get: ['localpath', (sftp, path) => sftp.get('a.txt', path)],
  getD: ['localdir', (sftp, path) => sftp.getD('d', path)],
  getR: ['localdir', (sftp, path) => sftp.getR('d', path)],
  put: ['localpath', (sftp, path) => sftp.put(path)],
  putD: ['localpath', (sftp, path) => sftp.putD(path, 'd')],
  putR: ['localpath', (sftp, path) => sftp.putR(path, 'd')],
};

const badPaths = [
  ['', (name: string) => `${name} is empty: use '.' for the current directory`],
  ['a\0b', (name: string) => `${name} 'a\\x00b' contains a NUL character`],
] as const;

const modes: Readonly<Record<string, Call>> = {
  chmod: (sftp, mode) => sftp.chmod('a.txt', mode),
  mkdir: (sftp, mode) => sftp.mkdir('new', mode),
  makedirs: (sftp, mode) => sftp.makedirs('new', mode),
};

const badModes = [
  [511, RangeError, "mode 511 could mean 511 or 0o777: write it as a string, '511' or '777'"],
  [888, RangeError, "mode 888 (0o1570) is an unusual mode: if you mean it, write it as a string: '1570'"],
  [-1, RangeError, "mode -1 is not a mode: write for instance 644, 0o644 or '644'"],
  ['rwx', RangeError, "mode 'rwx' is not written in octal digits: write for instance '644' or '755'"],
  [null, TypeError, "mode must be a number such as 644 or a string such as '644', not null"],
] as const;

const others: readonly (readonly [string, Call, Error])[] = [
  ['truncate to a negative size', (sftp) => sftp.truncate('a.txt', -1), sizeError('size', -1)],
  ['truncate to half a byte', (sftp) => sftp.truncate('a.txt', 0.5), sizeError('size', 0.5)],
  ['truncate to NaN', (sftp) => sftp.truncate('a.txt', Number.NaN), sizeError('size', Number.NaN)],
  [
    'truncate to a string',
    (sftp) => sftp.truncate('a.txt', '1' as never),
    new TypeError('size must be a number, not string'),
  ],
  ['chown with a negative uid', (sftp) => sftp.chown('a.txt', -1), idError('uid', -1)],
  ['chown with a gid beyond 32 bits', (sftp) => sftp.chown('a.txt', 1, 2 ** 32), idError('gid', 2 ** 32)],
  [
    'chown by name',
    (sftp) => sftp.chown('a.txt', 'root' as never),
    new TypeError('uid must be a number, not string'),
  ],
  [
    'utime before 1970',
    (sftp) => sftp.utime('a.txt', [-1, 0]),
    new RangeError('atime -1 is not between 1970 and 2106'),
  ],
  [
    'utime with a date that is none',
    (sftp) => sftp.utime('a.txt', [0, new Date('x')]),
    new RangeError('mtime NaN is not between 1970 and 2106'),
  ],
  [
    'utime with one time',
    (sftp) => sftp.utime('a.txt', [1] as never),
    new TypeError('times must be [atime, mtime]'),
  ],
  [
    'utime with a string',
    (sftp) => sftp.utime('a.txt', ['now', 1] as never),
    new TypeError('atime must be seconds since 1970 or a Date, not string'),
  ],
  [
    'symlink in an unknown order',
    (sftp) => sftp.symlink('a', 'b', { order: 'x' as never }),
    new TypeError("order must be 'openssh' or 'draft', not 'x'"),
  ],
  [
    'readlink in an unknown encoding',
    (sftp) => sftp.readlink('a', { encoding: 'latin1' as never }),
    new TypeError("encoding must be 'utf8' or 'buffer', not 'latin1'"),
  ],
  [
    'walk with unknown symlinks',
    async (sftp) => sftp.walk('.', { symlinks: 'copy' as never }).next(),
    new TypeError("symlinks must be 'report' or 'follow' or 'skip', not 'copy'"),
  ],
  [
    'walk to a negative depth',
    async (sftp) => sftp.walk('.', { maxDepth: -1 }).next(),
    idError('maxDepth', -1),
  ],
  [
    'walktree without a callback',
    (sftp) => sftp.walktree('.', ignore, undefined as never, ignore),
    new TypeError('dcallback must be a function, not undefined'),
  ],
  [
    'execute what is no string',
    (sftp) => sftp.execute(7 as never),
    new TypeError('command must be a string, not number'),
  ],
  ['execute a NUL', (sftp) => sftp.execute('a\0b'), new TypeError('command contains a NUL character')],
  [
    'homeDirectory of a number',
    (sftp) => sftp.homeDirectory(7 as never),
    new TypeError('username must be a string, not number'),
  ],
  [
    'homeDirectory of a path',
    (sftp) => sftp.homeDirectory('a/b'),
    new TypeError("username 'a/b' contains a /"),
  ],
  [
    'checksum by an unknown algorithm',
    (sftp) => sftp.checksum('a.txt', 'crc7'),
    new RangeError("algorithm 'crc7' is unknown: use sha256, sha512, md5 or another of crypto.getHashes()"),
  ],
  ['rmtree of the root', (sftp) => sftp.rmtree('/'), rootError('/')],
  ['rmtree of the current directory', (sftp) => sftp.rmtree('.'), rootError('.')],
];

function sizeError(name: string, value: number): RangeError {
  return new RangeError(`${name} must be an integer between 0 and ${Number.MAX_SAFE_INTEGER}, not ${value}`);
}
function idError(name: string, value: number): RangeError {
  return new RangeError(`${name} must be an integer between 0 and ${2 ** 32 - 1}, not ${value}`);
}
function rootError(path: string): RangeError {
  return new RangeError(`rmtree '${path}': name the directory to remove, not '/', '.' or '..'`);
}
function ignore(): void {}

/** Calls the method, expects the error, and that no request has arrived. */
async function refuses(call: Call, value: unknown, error: Error): Promise<void> {
  const { server, sftp } = world;
  assert.ok(server !== undefined && sftp !== undefined);
  const seen = () => structuredClone({ ...server.counters, mostOutstanding: undefined });
  const before = seen();
  await assert.rejects(async () => call(sftp, value as never), error);
  // Whatever had been sent would have arrived before this.
  await sftp.stat('.');
  before.requests.stat += 1;
  before.turns += 1;
  assert.deepEqual(seen(), before);
}

describe('A remote path that cannot be meant', () => {
  for (const [method, [name, call]] of Object.entries(remotePaths)) {
    test(`is refused by ${method}`, async () => {
      for (const [path, message] of badPaths) await refuses(call, path, new TypeError(message(name)));
      const lone = `${name} 'a\\ud800' has a lone surrogate, which UTF-8 cannot carry; pass bytes`;
      await refuses(call, 'a\ud800', new TypeError(lone));
      const type = method === 'glob' ? 'a string' : 'a string or a Uint8Array';
      await refuses(call, 7, new TypeError(`${name} must be ${type}, not number`));
      await refuses(call, true, new TypeError(`${name} must be ${type}, not boolean`));
      const long = new RangeError(`${name} has 70000 bytes: at most 65536 are allowed`);
      await refuses(call, 'x'.repeat(70_000), long);
    });
  }
});

describe('A local path that cannot be meant', () => {
  for (const [method, [name, call]] of Object.entries(localPaths)) {
    test(`is refused by ${method}`, async () => {
      for (const [path, message] of badPaths) await refuses(call, path, new TypeError(message(name)));
      await refuses(call, 'a\ud800', new TypeError(`${name} 'a\\ud800' has a lone surrogate`));
      await refuses(call, 7, new TypeError(`${name} must be a string, not number`));
    });
  }
});

describe('A mode that cannot be meant', () => {
  for (const [method, call] of Object.entries(modes)) {
    test(`is refused by ${method}`, async () => {
      for (const [mode, kind, message] of badModes) await refuses(call, mode, new kind(message));
    });
  }
});

describe('Invalid arguments', () => {
  for (const [what, call, error] of others) {
    test(`is refused: ${what}`, () => refuses(call, undefined, error));
  }
});
