// What the matrix runs on each runtime, in a project where the packed package is installed: one line of JSON a step.
// A step that throws has failed; one that gives a text was left out, and the text says why.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, getCiphers, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import {
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { connect as connectSocket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import * as tsftp from 'tsftp';

const { connect } = tsftp;
const given = JSON.parse(await readFile(process.argv[2], 'utf8'));
const isWindows = process.platform === 'win32';
const isDeno = 'Deno' in globalThis;
const isBun = 'Bun' in globalThis;
const STEP_MS = 120_000;
const MIB = 1024 * 1024;
const FILES = 500;

const local = await mkdtemp(join(tmpdir(), 'tsftp-steps-'));
const remote = `${given.folder}/${randomBytes(6).toString('hex')}`;
const known = { knownHosts: given.knownHosts, agent: false };
const login = { port: given.port, username: given.username, privateKey: given.keys.ed25519, ...known };

const steps = [];
const step = (name, run) => steps.push({ name, run });
/** Connects with other options than those of most steps. */
const withLogin = async (options, use = (sftp) => sftp.listdir('.')) => {
  const sftp = await connect(given.host, { ...login, ...options });
  try {
    return await use(sftp);
  } finally {
    await sftp.close();
  }
};
const codeOf = (promise) =>
  promise.then(
    () => 'no error',
    (error) => error.code,
  );
let sftp;

// Connecting
for (const type of ['ed25519', 'ecdsa', 'rsa']) {
  step(`connect: key, ${type}`, async () => {
    const error = await withLogin({ privateKey: given.keys[type] }).catch((reason) => reason);
    // Of ECDSA keys Deno reads one in two: those whose number begins with a 0 bit.
    if (isDeno && error.code === 'UNSUPPORTED_KEY') return 'Deno cannot sign with this key: UNSUPPORTED_KEY';
    if (error instanceof Error) throw error;
  });
}
step('connect: encrypted key', () =>
  withLogin({ privateKey: given.keys.encrypted, privateKeyPass: given.passphrase }),
);
step('connect: wrong passphrase', async () => {
  const wrong = withLogin({ privateKey: given.keys.encrypted, privateKeyPass: 'wrong' });
  assert.equal(await codeOf(wrong), 'WRONG_PASSPHRASE');
});
step('connect: password', () =>
  withLogin({ privateKey: undefined, username: given.user.name, password: given.user.password }),
);
step('connect: wrong password', async () => {
  const wrong = withLogin({ privateKey: undefined, username: given.user.name, password: 'wrong' });
  assert.equal((await wrong.catch((error) => error)).name, 'AuthenticationError');
});
step('connect: agent', () => {
  if (given.agent === undefined || isWindows) return 'no agent on this system';
  return withLogin({ privateKey: undefined, agent: given.agent });
});
step('connect: jump host', () => withLogin({ proxyJump: [{ host: given.host, ...login }] }));
step('connect: unknown host key', async () => {
  assert.equal(await codeOf(withLogin({ knownHosts: given.otherKnownHosts })), 'HOST_KEY_UNKNOWN');
});
step('connect: fingerprint', () =>
  withLogin({ knownHosts: given.otherKnownHosts, fingerprint: given.fingerprint }),
);
step('connect: wrong fingerprint', async () => {
  const wrong = { knownHosts: given.otherKnownHosts, fingerprint: `SHA256:${'A'.repeat(43)}` };
  assert.equal((await withLogin(wrong).catch((error) => error)).name, 'HostKeysError');
});
step('connect: nothing listens', async () => {
  assert.equal(await codeOf(withLogin({ port: 1 })), 'ECONNREFUSED');
});
step('connect: 40 times', async () => {
  for (let count = 0; count < 40; count += 1) await withLogin({}, (each) => each.exists('.'));
});
step('connect: 10 at once', () => Promise.all(Array.from({ length: 10 }, () => withLogin({}))));
step('connect: transport openssh', () =>
  isWindows ? 'no ssh.exe in this system' : withLogin({ transport: 'openssh' }),
);
for (const cipher of ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes256-ctr']) {
  step(`cipher ${cipher}`, () => withLogin({ ciphers: [cipher] }, roundTrip));
}
step('cipher chacha20-poly1305@openssh.com', async () => {
  if (!getCiphers().includes('chacha20')) return 'node:crypto of this runtime does not have it';
  await withLogin({ ciphers: ['chacha20-poly1305@openssh.com'] }, roundTrip);
});
step('compression', async () => {
  const compressed = withLogin({ compression: true }, roundTrip);
  if (!isDeno) return compressed;
  assert.equal(await codeOf(compressed), 'NEGOTIATION_FAILED');
  return 'Deno cannot compress: refused with NEGOTIATION_FAILED';
});
step('rekey', () => withLogin({ port: given.rekeyPort }, (each) => transfer(each, 24 * MIB)));

// Files
step('connect', async () => {
  sftp = await connect(given.host, login);
  await sftp.mkdir(remote);
});
for (const [name, size] of [
  ['0 B', 0],
  ['1 MB', 1_000_000],
  ['300 MB', 300_000_000],
]) {
  step(`up and down: ${name}`, () => transfer(sftp, size));
}
step('up and down: 300 MB over transport openssh', () =>
  isWindows
    ? 'no ssh.exe in this system'
    : withLogin({ transport: 'openssh' }, (each) => transfer(each, 300_000_000)),
);
step('up and down: tsftp/testing', async () => {
  const { startServer } = await import('tsftp/testing');
  const server = await startServer({ files: { 'docs/a.txt': 'hello' } });
  try {
    const { host, port, username, password, hostKey } = server;
    const each = await connect(host, { port, username, password, fingerprint: hostKey.fingerprint });
    assert.equal(await each.readFile('/docs/a.txt', { encoding: 'utf8' }), 'hello');
    await each.writeFile('/docs/b', Buffer.alloc(MIB, 7));
    assert.equal((await each.stat('/docs/b')).size, MIB);
    await each.close();
  } finally {
    await server.close();
  }
});
step('readFile, writeFile, appendFile', () => roundTrip(sftp));
step('open: read and write at positions', async () => {
  const file = await sftp.open(`${remote}/handle`, 'w+');
  await file.write('hello world');
  assert.equal(await file.tell(), 11);
  await file.close();
  assert.equal(await sftp.readFile(`${remote}/handle`, { encoding: 'utf8' }), 'hello world');
});
step('stat, chmod, rename, remove', async () => {
  const path = `${remote}/attributes`;
  await sftp.writeFile(path, 'x');
  await sftp.chmod(path, 640);
  assert.equal((await sftp.stat(path)).mode & 0o777, 0o640);
  await sftp.rename(path, `${path} 2`);
  assert.equal(await sftp.exists(path), false);
  await sftp.remove(`${path} 2`);
  assert.equal(await codeOf(sftp.stat(`${path} 2`)), 'ENOENT');
});
step('symlink, readlink', async () => {
  await sftp.symlink('handle', `${remote}/link`);
  assert.equal(await sftp.isfile(`${remote}/link`), true);
  assert.equal((await sftp.lstat(`${remote}/link`)).isSymbolicLink(), true);
});
step('names that are not ASCII', async () => {
  const name = 'Grüße, 世界 🚀';
  await sftp.writeFile(`${remote}/${name}`, 'x');
  assert.ok((await sftp.listdir(remote)).includes(name));
  await sftp.get(`${remote}/${name}`, join(local, name));
  assert.equal(await readFile(join(local, name), 'utf8'), 'x');
});
step('names that are not UTF-8', async () => {
  if (isWindows || isDeno) return 'this runtime has no such names';
  const name = Buffer.from([0x61, 0xff]);
  const tree = join(local, 'bytes');
  await mkdir(tree);
  await writeFile(Buffer.concat([Buffer.from(`${tree}/`), name]), 'x');
  await sftp.putR(tree, `${remote}/bytes`);
  await sftp.getR(`${remote}/bytes`, join(local, 'bytes back'), { into: true });
  const names = await readdir(Buffer.from(join(local, 'bytes back')), { encoding: 'buffer' });
  assert.deepEqual(
    names.map((each) => each.toString('hex')),
    [name.toString('hex')],
  );
});
step('cd', async () => {
  await sftp.cd(remote, async () => assert.equal(await sftp.pwd(), remote));
});
step('execute', async () => assert.deepEqual(await sftp.execute('echo hello'), ['hello']));
step('500 calls at once', async () => {
  const sizes = await Promise.all(Array.from({ length: 500 }, () => sftp.stat(`${remote}/handle`)));
  assert.ok(sizes.every(({ size }) => size === 11));
});
step('checksum', async () => {
  if (!(await sftp.exists(`${remote}/handle`))) throw new Error('no file');
  await sftp.statvfs(remote);
});
step('copyBetween', async () => {
  await withLogin({}, (other) => tsftp.copyBetween(sftp, `${remote}/handle`, other, `${remote}/handle copy`));
  assert.equal((await sftp.stat(`${remote}/handle copy`)).size, 11);
});

// Trees
step(`trees: putR of ${FILES} files`, async () => {
  await makeTree(join(local, 'tree'));
  const report = await sftp.putR(join(local, 'tree'), `${remote}/tree`, { preserveMtime: true });
  assert.deepEqual(report.failed, []);
});
step(`trees: getR of ${FILES} files`, async () => {
  await sftp.getR(`${remote}/tree`, join(local, 'back'), { into: true, preserveMtime: true });
  assert.deepEqual(await hashTree(join(local, 'back')), await hashTree(join(local, 'tree')));
});
step('trees: walk and glob', async () => {
  const found = await sftp.glob(`${remote}/tree/**/*.txt`);
  assert.equal(found.length, FILES);
});
step('trees: mirror up, twice', async () => {
  const mirror = () =>
    sftp.mirror(join(local, 'tree'), `${remote}/mirror`, { direction: 'up', delete: true });
  assert.equal((await mirror()).failed.length, 0);
  assert.equal(changesOf(await mirror()), 0);
});
step('trees: mirror down, twice', async () => {
  const mirror = () =>
    sftp.mirror(`${remote}/mirror`, join(local, 'mirror'), { direction: 'down', delete: true });
  await mirror();
  assert.deepEqual(await hashTree(join(local, 'mirror')), await hashTree(join(local, 'tree')));
  assert.equal(changesOf(await mirror()), 0);
});
step('trees: rmtree', async () => {
  await sftp.rmtree(`${remote}/tree`);
  assert.equal(await sftp.exists(`${remote}/tree`), false);
});

// Trouble
step('abort in the middle', async () => {
  const controller = new AbortController();
  const target = join(local, 'aborted');
  const aborted = sftp.get(`${remote}/300000000`, target, {
    signal: controller.signal,
    callback: (transferred) => transferred > 10_000_000 && controller.abort(),
  });
  const error = await aborted.catch((reason) => reason);
  assert.equal(error.name, 'AbortError', String(error));
  assert.equal(await codeOf(stat(target)), 'ENOENT');
});
step('resume', async () => {
  const controller = new AbortController();
  const target = join(local, 'resumed');
  const options = { resume: true };
  const first = sftp.get(`${remote}/300000000`, target, {
    ...options,
    signal: controller.signal,
    callback: (transferred) => transferred > 50_000_000 && controller.abort(),
  });
  await first.catch(() => {});
  let least = Number.POSITIVE_INFINITY;
  const callback = (transferred) => {
    least = Math.min(least, transferred);
  };
  await sftp.get(`${remote}/300000000`, target, { ...options, callback });
  assert.ok(least > 10_000_000, `it began at ${least}`);
  assert.equal(await hashFile(target), await hashFile(join(local, 'file 300000000')));
});
step('cut and retry', async () => {
  const proxy = await startCutter(given.port, 8 * MIB);
  try {
    const target = join(local, 'cut');
    const options = { port: proxy.port, knownHosts: given.otherKnownHosts, fingerprint: given.fingerprint };
    await sftp.writeFile(`${remote}/20 MB`, randomBytes(20_000_000));
    const retry = { attempts: 20, delay: 0.01 };
    await withLogin({ ...options, retry }, (each) => each.get(`${remote}/20 MB`, target));
    assert.equal(
      await hashFile(target),
      createHash('sha256')
        .update(await sftp.readFile(`${remote}/20 MB`))
        .digest('hex'),
    );
  } finally {
    proxy.close();
  }
});
step('a lost connection', async () => {
  const proxy = await startCutter(given.port, 4 * MIB);
  try {
    const options = { port: proxy.port, knownHosts: given.otherKnownHosts, fingerprint: given.fingerprint };
    const lost = withLogin(options, (each) => each.get(`${remote}/300000000`, join(local, 'lost')));
    assert.equal(tsftp.isTransient(await lost.catch((error) => error)), true);
    assert.equal(await codeOf(stat(join(local, 'lost'))), 'ENOENT');
  } finally {
    proxy.close();
  }
});
step('ENOENT', async () => assert.equal(await codeOf(sftp.get(`${remote}/no`, join(local, 'no'))), 'ENOENT'));

// Streams
step('streams of Node.js', async () => {
  const source = join(local, 'file 1000000');
  await pipeline(createReadStream(source), sftp.createWriteStream(`${remote}/stream`));
  await pipeline(sftp.createReadStream(`${remote}/stream`), createWriteStream(join(local, 'stream')));
  assert.equal(await hashFile(join(local, 'stream')), await hashFile(source));
});
step('web streams', async () => {
  const bytes = randomBytes(MIB);
  const writable = Writable.toWeb(sftp.createWriteStream(`${remote}/web`));
  await new Blob([bytes]).stream().pipeTo(writable);
  const chunks = [];
  for await (const chunk of Readable.toWeb(sftp.createReadStream(`${remote}/web`))) chunks.push(chunk);
  assert.ok(Buffer.concat(chunks).equals(bytes));
});
step('putfo, getfo', async () => {
  await sftp.putfo(Readable.from([Buffer.from('a'), Buffer.from('b')]), `${remote}/fo`);
  const chunks = [];
  const sink = new Writable({
    write: (chunk, _encoding, done) => {
      chunks.push(chunk);
      done();
    },
  });
  await sftp.getfo(`${remote}/fo`, sink);
  assert.equal(Buffer.concat(chunks).toString(), 'ab');
});

// The package
step('require and import give one class', () => {
  const required = createRequire(import.meta.url)('tsftp');
  assert.equal(required.SftpError, tsftp.SftpError);
});
for (const name of given.entryPoints) {
  step(`entry point ${name}`, async () => {
    const module = await import(name);
    assert.ok(Object.keys(module).length > 0);
  });
}
step('tsftp/ssh2-sftp-client', async () => {
  const { default: Client } = await import('tsftp/ssh2-sftp-client');
  const client = new Client();
  const privateKey = await readFile(given.keys.ed25519);
  const hostVerifier = () => true;
  await client.connect({
    host: given.host,
    port: given.port,
    username: given.username,
    privateKey,
    hostVerifier,
  });
  assert.ok((await client.list(remote)).length > 0);
  await client.end();
});
if (isBun) {
  step('bun build --compile', async () => {
    const program = join(local, 'compiled');
    const run = (words) =>
      promisify(execFile)(words[0], words.slice(1), { env: { ...process.env, TASK: task } });
    const task = JSON.stringify({
      host: given.host,
      login,
      from: join(local, 'compiled-tree'),
      to: `${remote}/compiled`,
    });
    await mkdir(join(local, 'compiled-tree', 'a'), { recursive: true });
    await writeFile(join(local, 'compiled-tree', 'a', 'f'), 'content');
    // Where the package is installed.
    await writeFile(
      'compiled.mjs',
      `import { connect } from 'tsftp';
       const { host, login, from, to } = JSON.parse(process.env.TASK);
       const sftp = await connect(host, login);
       await sftp.putR(from, to);
       await sftp.close();`,
    );
    await run([
      process.execPath,
      'build',
      '--compile',
      '--external',
      '*.node',
      'compiled.mjs',
      '--outfile',
      program,
    ]);
    await run([program]);
    assert.equal(await withLogin({}, (other) => other.readFile(`${remote}/compiled/a/f`, 'utf8')), 'content');
  });
}
step('close', async () => {
  await sftp.rmtree(remote);
  await sftp.close();
});

function changesOf({ created, updated, deleted }) {
  return created + updated + deleted;
}

async function roundTrip(each) {
  const path = `${given.folder}/round trip ${randomBytes(4).toString('hex')}`;
  const bytes = randomBytes(MIB);
  await each.writeFile(path, bytes);
  assert.ok((await each.readFile(path)).equals(bytes));
  await each.appendFile(path, 'end');
  assert.equal((await each.stat(path)).size, MIB + 3);
  await each.remove(path);
}

async function transfer(each, size) {
  const file = join(local, `file ${size}`);
  await makeFile(file, size);
  const path = `${each === sftp ? remote : given.folder}/${each === sftp ? size : randomBytes(6).toString('hex')}`;
  await each.put(file, path);
  await each.get(path, `${file} back`);
  assert.equal(await hashFile(`${file} back`), await hashFile(file));
  await rm(`${file} back`);
  if (each !== sftp) await each.remove(path);
}

async function makeFile(file, size) {
  if ((await stat(file).catch(() => undefined))?.size === size) return;
  const block = randomBytes(MIB);
  const handle = await open(file, 'w');
  for (let at = 0; at < size; at += MIB) {
    block.writeUInt32BE(at / MIB, 0);
    await handle.write(block.subarray(0, Math.min(MIB, size - at)));
  }
  await handle.close();
}

async function hashFile(file) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest('hex');
}

async function makeTree(folder) {
  for (let index = 0; index < FILES; index += 1) {
    const directory = join(folder, `folder ${index % 10}`);
    if (index < 10) await mkdir(directory, { recursive: true });
    const file = join(directory, `${index}.txt`);
    await writeFile(file, `${index}`.repeat(index));
    await utimes(file, 1_700_000_000, 1_700_000_000 + index);
  }
}

async function hashTree(folder) {
  const found = {};
  for (const directory of (await readdir(folder)).sort()) {
    for (const name of (await readdir(join(folder, directory))).sort()) {
      const file = join(folder, directory, name);
      found[`${directory}/${name}`] = [await hashFile(file), Math.floor((await lstat(file)).mtimeMs / 1000)];
    }
  }
  return found;
}

/** A proxy that ends each connection after so many bytes from the server. */
async function startCutter(targetPort, bytes) {
  const server = createServer((client) => {
    const target = connectSocket(targetPort, given.host);
    let left = bytes;
    target.on('data', (chunk) => {
      left -= chunk.length;
      if (left < 0) {
        client.destroy();
        target.destroy();
      } else client.write(chunk);
    });
    client.on('data', (chunk) => target.write(chunk));
    for (const [one, other] of [
      [client, target],
      [target, client],
    ]) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: server.address().port, close: () => server.close() };
}

for (const { name, run } of steps) {
  const start = performance.now();
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${STEP_MS / 1000} s`)), STEP_MS);
  });
  const outcome = await Promise.race([Promise.resolve().then(run), late]).then(
    (said) => (typeof said === 'string' ? { leftOut: said } : {}),
    (error) => ({ error: `${error?.code ?? error?.name}: ${error?.message}`.slice(0, 400) }),
  );
  clearTimeout(timer);
  console.log(JSON.stringify({ step: name, ms: Math.round(performance.now() - start), ...outcome }));
}
await rm(local, { recursive: true, force: true });
console.log(
  JSON.stringify({
    done: true,
    version: isBun ? process.versions.bun : isDeno ? Deno.version.deno : process.version,
  }),
);
