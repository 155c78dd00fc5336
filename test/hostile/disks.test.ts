/** Rows L3, L7, L9 and L11, T10 and T15 of the fault catalogue: honest servers, and disks on which more than one is at work. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { ConnectionError, SftpError, TransferError } from '../../src/index.js';
import { startServer } from '../../src/testing/index.js';
import { runChild } from '../support/child.js';
import { makeFolder, snapshot } from '../support/folder.js';
import { connectToServer, connectToSshd, optionsForSshd } from '../support/login.js';
import { needsOpenSsh, type Sshd, startSshd } from '../support/sshd.js';

const MIB = 1024 * 1024;

async function startEmbedded(t: TestContext, extensions?: readonly string[]) {
  const server = await startServer({ files: {} }, extensions === undefined ? {} : { extensions });
  t.after(() => server.close());
  const connection = await connectToServer(server);
  t.after(() => connection.close());
  return { server, connection };
}

describe('a source that does not rest', () => {
  const length = 12 * MIB;
  const changes: Readonly<Record<string, (path: string) => void>> = {
    shrinks: (path) => truncateSync(path, MIB),
    'is cut to nothing': (path) => truncateSync(path, 0),
  };
  for (const [what, change] of Object.entries(changes)) {
    test(`L3: one that ${what} is reported, and the old file stays`, async (t) => {
      const { server, connection } = await startEmbedded(t);
      const path = join(makeFolder(t), 'source');
      await connection.writeFile('/target', 'old');
      writeFileSync(path, Buffer.alloc(length, 1));
      let done = false;
      const callback = () => {
        if (!done) change(path);
        done = true;
      };
      await assert.rejects(connection.put(path, '/target', { atomic: true, callback }), (error: unknown) => {
        assert.ok(error instanceof TransferError);
        assert.equal(error.code, 'SOURCE_CHANGED');
        return true;
      });
      assert.equal(server.readFile('/target').toString(), 'old');
      assert.deepEqual(server.listNames('/'), ['target']);
    });
  }

  test('L3: one that is replaced goes on as the file that was opened: never half of each', async (t) => {
    const { server, connection } = await startEmbedded(t);
    const folder = makeFolder(t);
    const path = join(folder, 'source');
    writeFileSync(path, Buffer.alloc(length, 1));
    writeFileSync(join(folder, 'other'), Buffer.alloc(length, 2));
    let done = false;
    const callback = () => {
      if (!done) renameSync(join(folder, 'other'), path);
      done = true;
    };
    await connection.put(path, '/target', { callback });
    assert.ok(server.readFile('/target').equals(Buffer.alloc(length, 1)));
  });
});

describe('two at once', () => {
  for (const extensions of [undefined, []]) {
    const how = extensions === undefined ? 'with posix-rename' : 'without posix-rename';
    test(`L11: two atomic puts to one name, ${how}, leave one of them whole`, async (t) => {
      const { server, connection } = await startEmbedded(t, extensions);
      const folder = makeFolder(t);
      const contents = [1, 2].map((byte) => Buffer.alloc(MIB, byte));
      for (const [index, content] of contents.entries()) writeFileSync(join(folder, `${index}`), content);
      await connection.writeFile('/target', 'old');
      // Without posix-rename one may come between the other's remove and rename, and fails then.
      await Promise.allSettled(
        contents.map((_, index) => connection.put(join(folder, `${index}`), '/target', { atomic: true })),
      );
      const found = server.readFile('/target');
      assert.ok(contents.some((content) => content.equals(found)));
      assert.deepEqual(server.listNames('/'), ['target']);
    });
  }
});

describe('with OpenSSH', { skip: needsOpenSsh }, () => {
  let sshd: Sshd;
  before(async () => {
    sshd = await startSshd({ hostKeyTypes: ['ed25519'] });
  });
  after(() => sshd?.stop());

  test('L7: 20 descriptors are enough for a tree, and none is left open', async (t) => {
    const poor = await startSshd({
      hostKeyTypes: ['ed25519'],
      sftpCommand: 'ulimit -n 20; exec /usr/lib/openssh/sftp-server',
    });
    t.after(() => poor.stop());
    const folder = makeFolder(t);
    const source = makeFolder(t);
    for (let count = 0; count < 200; count += 1) writeFileSync(join(source, `${count}`), `${count}`);
    const connection = await connectToSshd(poor);
    t.after(() => connection.close());
    await connection.putR(source, join(folder, 'tree'));
    assert.deepEqual(snapshot(join(folder, 'tree')), snapshot(source));
    // As many as there may be can be opened at once: nothing has leaked.
    for (let round = 0; round < 3; round += 1) await connection.getR(join(folder, 'tree'), makeFolder(t));
    await connection.listdir(folder);
  });

  test('L7: a program that may have few files open itself waits for those that it closes', async (t) => {
    const [source, folder] = [makeFolder(t), makeFolder(t)];
    for (let count = 0; count < 600; count += 1) writeFileSync(join(source, `${count}`), `${count}`);
    const { host } = sshd;
    const options = optionsForSshd(sshd);
    const script = `
      const sftp = await tsftp.connect(input.host, input.options);
      await sftp.cd(input.source, () => sftp.getR('.', input.down));
      await sftp.putR(input.source, input.up);
      await sftp.close();`;
    const [down, up] = [join(folder, 'down'), join(folder, 'up')];
    const child = await runChild(script, { host, options, source, down, up }, { descriptors: 200 });
    assert.deepEqual(child, { exitCode: 0, stdout: '', stderr: '' });
    assert.deepEqual(snapshot(down), snapshot(source));
    assert.deepEqual(snapshot(up), snapshot(source));
  });

  test('L9: kill -9 at any moment leaves the old file or the new, and at most one beside it', async (t) => {
    const folder = makeFolder(t);
    const remote = join(makeFolder(t), 'remote');
    const whole = Buffer.alloc(20 * MIB, 'content');
    writeFileSync(remote, whole);
    const script = `
      import { connect } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)};
      const [port, user, key, hosts, from, to] = process.argv.slice(1);
      const sftp = await connect('127.0.0.1', { port: Number(port), username: user, privateKey: key,
        cnopts: { knownhosts: hosts, agent: false } });
      process.stdout.write('ready');
      await sftp.get(from, to);
      await sftp.close();
    `;
    for (const [index, delayMs] of [0, 10, 30, 60].entries()) {
      const target = join(folder, `target ${index}`);
      writeFileSync(target, 'old');
      const login = [String(sshd.port), sshd.user, sshd.privateKeyPath, sshd.knownHosts];
      const flags = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script];
      const child = spawn(process.execPath, [...flags, ...login, remote, target]);
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      const found = readFileSync(target);
      assert.ok(found.equals(Buffer.from('old')) || found.equals(whole), `${found.length} bytes`);
    }
    const beside = readdirSync(folder).filter((name) => name.endsWith('.part'));
    assert.ok(beside.length <= 4, beside.join());
  });

  test('T10: every cipher that is offered carries the same bytes', async (t) => {
    const folder = makeFolder(t);
    const content = Buffer.alloc(MIB, 'content');
    writeFileSync(join(folder, 'a'), content);
    const first = await connectToSshd(sshd);
    const { ciphers } = first.securityOptions;
    await first.close();
    let tried = 0;
    for (const cipher of ciphers) {
      const cnopts = { knownhosts: sshd.knownHosts, agent: false as const, ciphers: [cipher] };
      const connection = await connectToSshd(sshd, { cnopts }).catch((error: unknown) => {
        // One that this OpenSSH does not have.
        assert.ok(error instanceof SftpError && error.code === 'NEGOTIATION_FAILED', String(error));
      });
      if (connection === undefined) continue;
      tried += 1;
      await connection.get(join(folder, 'a'), join(folder, 'b'));
      assert.ok(readFileSync(join(folder, 'b')).equals(content), cipher);
      await connection.close();
    }
    assert.ok(tried >= 3, `${tried} ciphers`);
  });

  test('T15: a server that is full says so with an error of the connection', async (t) => {
    const full = await startSshd({ hostKeyTypes: ['ed25519'], config: ['MaxStartups 1:100:1'] });
    t.after(() => full.stop());
    const held = dial(full.port, '127.0.0.1');
    t.after(() => held.destroy());
    await once(held, 'data');
    await assert.rejects(connectToSshd(full), (error: unknown) => {
      assert.ok(error instanceof ConnectionError || error instanceof SftpError, String(error));
      assert.ok(['ECONNRESET', 'SERVER_BUSY'].includes(error.code), error.code);
      return true;
    });
    held.destroy();
  });
});
