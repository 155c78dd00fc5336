import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { type Connection, type ConnectOptions, connect } from '../../../src/index.js';
import { type Faults, startServer, type TestServer } from '../../../src/testing/index.js';
import { needsOpenSsh, startSshd } from '../../support/sshd.js';

const MIB = 1024 * 1024;

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-connections-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Content does not move on before there are as many connections: each of them has a part of it then. */
function untilThereAre(connections: number, server: () => TestServer | undefined): Faults {
  let held = 0;
  return {
    failOn: async ({ kind }) => {
      if (kind !== 'read' && kind !== 'write') return undefined;
      held += 1;
      // The first ones show how fast it is.
      while (held > 4 && (server()?.counters.sessions ?? 0) < connections)
        await new Promise((resolve) => setTimeout(resolve, 5));
      return undefined;
    },
  };
}

async function startSlowServer(
  files: Record<string, Buffer>,
  connections: number,
): Promise<TestServer & AsyncDisposable> {
  let server: TestServer | undefined;
  server = await startServer({ files }, { faults: untilThereAre(connections, () => server) });
  return server;
}

function logIn(
  { host, username, password, hostKey, port }: TestServer,
  options: ConnectOptions = {},
): Promise<Connection> {
  return connect(host, { port, username, password, fingerprint: hostKey.fingerprint, ...options });
}

/** Every connection of its own: so that one can be cut, or led elsewhere. */
async function startSwitch(
  t: TestContext,
  portOf: (connection: number) => number,
): Promise<{ readonly port: number; readonly sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.push(socket);
    const onward = connectTcp({ port: portOf(sockets.length), host: '127.0.0.1', noDelay: true });
    socket.pipe(onward).pipe(socket);
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const)
      one.on('error', () => {}).on('close', () => other.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { port: address.port, sockets };
}

/** A file that was read is closed everywhere, also where an answer is late that nobody needs. */
async function untilAllIsClosed({ counters }: TestServer): Promise<void> {
  while (counters.openHandles > 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('several connections', () => {
  test('carry the parts of one large file that is downloaded', async (t) => {
    const content = randomBytes(12 * MIB);
    const target = join(await makeFolder(t), 'file');
    await using server = await startSlowServer({ file: content }, 4);
    await using sftp = await logIn(server);
    const seen: number[] = [];
    await sftp.get('file', target, { connections: 4, callback: (transferred) => seen.push(transferred) });
    assert.ok(content.equals(await readFile(target)));
    assert.equal(server.counters.connections, 4);
    await untilAllIsClosed(server);
    assert.ok(seen.every((bytes, index) => bytes >= (seen[index - 1] ?? 0)));
    assert.equal(seen.at(-1), content.length);
  });

  for (const atomic of [false, true]) {
    test(`carry the parts of one large file that is uploaded (atomic: ${atomic})`, async (t) => {
      const content = randomBytes(12 * MIB);
      const source = join(await makeFolder(t), 'file');
      await writeFile(source, content);
      await using server = await startSlowServer({ file: Buffer.from('old') }, 3);
      await using sftp = await logIn(server, { connections: 3 });
      await sftp.put(source, 'file', { atomic });
      assert.ok(content.equals(server.readFile('file')));
      assert.deepEqual([server.counters.connections, server.counters.openHandles], [3, 0]);
      assert.deepEqual(server.listNames(), ['file']);
    });
  }

  test('carry the files of a tree, each through one', async (t) => {
    const folder = await makeFolder(t);
    const source = join(folder, 'source');
    await mkdir(source);
    const names = Array.from({ length: 60 }, (_, index) => `file${index}`);
    const contents = new Map(names.map((name) => [name, randomBytes(3000)]));
    for (const [name, content] of contents) await writeFile(join(source, name), content);
    await using server = await startSlowServer({}, 3);
    await using sftp = await logIn(server);
    await sftp.putR(source, 'tree', { connections: 3 });
    await sftp.getR('tree', folder, { connections: 3 });
    for (const [name, content] of contents) {
      assert.ok(content.equals(server.readFile(`tree/${name}`)), name);
      assert.ok(content.equals(await readFile(join(folder, 'tree', name))), name);
    }
    assert.deepEqual([server.counters.connections, server.counters.openHandles], [3, 0]);
  });

  test('end with the first, and no line of the log warns of that', async (t) => {
    const target = join(await makeFolder(t), 'file');
    await using server = await startSlowServer({ file: randomBytes(12 * MIB) }, 4);
    const lines: string[] = [];
    const logger = (level: string, line: string) => void lines.push(`${level} ${line}`);
    const sftp = await logIn(server, { logger, retry: { attempts: 2 } });
    await sftp.get('file', target, { connections: 4 });
    await sftp.close();
    while (lines.filter((line) => line === 'info closed').length < 4)
      await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(
      lines.filter((line) => /^(warn|error)/.test(line)),
      [],
    );
  });

  test('carry streams', async () => {
    const content = randomBytes(8 * MIB);
    await using server = await startSlowServer({ file: content }, 3);
    await using sftp = await logIn(server, { connections: 3 });
    assert.ok(content.equals(await buffer(sftp.createReadStream('file'))));
    const chunks: Buffer[] = [];
    await sftp.getfo('file', {
      write: (chunk: Buffer) => {
        chunks.push(Buffer.from(chunk));
      },
    } as never);
    assert.ok(content.equals(Buffer.concat(chunks)));
    await sftp.putfo(Readable.from([content]), 'copy');
    assert.ok(content.equals(server.readFile('copy')));
    assert.equal(server.counters.connections, 3);
    await untilAllIsClosed(server);
  });

  test('one that falls silent is not waited for by a download, as the others are asked for its part', async (t) => {
    const content = randomBytes(12 * MIB);
    const target = join(await makeFolder(t), 'target');
    await using server = await startSlowServer({ file: content }, 3);
    const { port, sockets } = await startSwitch(t, () => server.port);
    await using sftp = await logIn(server, { port, connections: 3 });
    const silence = () => sockets[2]?.pause();
    await sftp.get('file', target, { callback: (transferred) => void (transferred > 4 * MIB && silence()) });
    assert.ok(content.equals(await readFile(target)));
    assert.ok(sockets[2]?.isPaused());
    assert.ok(content.equals(await buffer(sftp.createReadStream('file'))));
  });

  for (const direction of ['get', 'put'] as const) {
    test(`one that is cut in a ${direction} costs its part only`, async (t) => {
      const content = randomBytes(12 * MIB);
      const folder = await makeFolder(t);
      await writeFile(join(folder, 'source'), content);
      await using server = await startSlowServer({ file: content }, 3);
      const { port, sockets } = await startSwitch(t, () => server.port);
      await using sftp = await logIn(server, { port });
      let wasCut = false;
      const callback = (transferred: number) => {
        if (wasCut || transferred < 4 * MIB || sockets.length < 3) return;
        wasCut = true;
        sockets[2]?.destroy();
      };
      if (direction === 'get') {
        await sftp.get('file', join(folder, 'target'), { connections: 3, callback });
        assert.ok(content.equals(await readFile(join(folder, 'target'))));
      } else {
        await sftp.put(join(folder, 'source'), 'new', { connections: 3, callback });
        assert.ok(content.equals(server.readFile('new')));
      }
      assert.ok(wasCut);
    });
  }

  test('that are cut in a tree cost nothing but time', async (t) => {
    const folder = await makeFolder(t);
    const contents = new Map(
      Array.from({ length: 80 }, (_, index) => [`file${index}`, randomBytes(20_000)] as const),
    );
    await using server = await startSlowServer(Object.fromEntries(contents), 3);
    const { port, sockets } = await startSwitch(t, () => server.port);
    await using sftp = await logIn(server, { port });
    let files = 0;
    await sftp.getR('.', folder, {
      connections: 3,
      onFile: () => {
        files += 1;
        if (files === 10) for (const socket of sockets.slice(1)) socket.destroy();
      },
    });
    for (const [name, content] of contents)
      assert.ok(content.equals(await readFile(join(folder, name))), name);
  });

  test('must show the very host key of the first, also where nobody checks any', async (t) => {
    const content = randomBytes(4 * MIB);
    const target = join(await makeFolder(t), 'file');
    await using server = await startServer({ files: { file: content } });
    await using other = await startServer({ files: { file: randomBytes(4 * MIB) } });
    const { port } = await startSwitch(t, (connection) => (connection === 1 ? server.port : other.port));
    const warnings: string[] = [];
    const logger = {
      debug: () => {},
      info: () => {},
      error: () => {},
      warn: (text: string) => warnings.push(text),
    };
    await using sftp = await logIn(server, { port, fingerprint: undefined, hostkeys: null, logger });
    const wasRefused = () => warnings.some((text) => /no further connection: .*host key/i.test(text));
    server.faults = {
      failOn: async ({ kind }) => {
        while (kind === 'read' && !wasRefused()) await new Promise((resolve) => setTimeout(resolve, 5));
        return undefined;
      },
    };
    await sftp.get('file', target, { connections: 2 });
    assert.ok(content.equals(await readFile(target)));
    assert.deepEqual([other.counters.logins, other.counters.connections], [0, 1]);
    assert.ok(wasRefused(), warnings.join('\n'));
  });

  for (const connections of [0, 17, 1.5, '4', null])
    test(`${JSON.stringify(connections)} of them are refused, and nothing is sent`, async () => {
      await using server = await startServer({ files: { file: 'text' } });
      const options = { connections: connections as number };
      const kind = typeof connections === 'number' ? RangeError : TypeError;
      await assert.rejects(logIn(server, options), kind);
      assert.equal(server.counters.connections, 0);
      await using sftp = await logIn(server);
      await assert.rejects(sftp.get('file', '/nowhere/at/all', options), kind);
      assert.throws(() => sftp.createReadStream('file', options), kind);
    });

  test('are as many as a server allows that takes few at once', { skip: needsOpenSsh }, async (t) => {
    const content = randomBytes(24 * MIB);
    const folder = await makeFolder(t);
    await writeFile(join(folder, 'source'), content);
    await using sshd = await startSshd({
      config: ['MaxStartups 2', 'MaxSessions 1', 'LogLevel VERBOSE'],
    });
    const { host, port, user: username, privateKeyPath: privateKey } = sshd;
    await using sftp = await connect(host, { port, username, privateKey, hostkeys: null, connections: 4 });
    // So that there is time for all of them.
    sftp.bytesPerSecond = 12 * MIB;
    await sftp.put(join(folder, 'source'), join(folder, 'there'));
    assert.ok(content.equals(await readFile(join(folder, 'there'))));
    const logins = sshd
      .log()
      .split('\n')
      .filter((line) => line.includes('Accepted publickey'));
    assert.equal(logins.length, 4);
    sftp.bytesPerSecond = null;
    await sftp.get(join(folder, 'there'), join(folder, 'back'));
    assert.ok(content.equals(await readFile(join(folder, 'back'))));
  });
});
