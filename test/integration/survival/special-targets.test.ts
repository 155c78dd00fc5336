/** FIFOs, devices and mount points in the place of a file: what cannot be done is refused before anything is touched. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  createReadStream,
  createWriteStream,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { describe, type TestContext, test } from 'node:test';
import { copyBetween } from '../../../src/index.js';
import { makeFolder } from '../../support/folder.js';
import { serverKinds } from '../../support/servers.js';

const withoutFifos = process.platform === 'win32' && 'there are no FIFOs in folders';
const ATOMIC = [undefined, true, false];

for (const { name, skip, start } of serverKinds) {
  describe(`what is no regular file, with ${name}`, { skip: skip || withoutFifos }, () => {
    /** `file` and `fifo` on both sides. */
    async function setUp(t: TestContext) {
      const server = await start();
      t.after(() => server.stop());
      const sftp = await server.connect();
      t.after(() => sftp.close());
      const local = makeFolder(t);
      for (const folder of [local, server.folder]) {
        execFileSync('mkfifo', [join(folder, 'fifo')]);
        writeFileSync(join(folder, 'file'), 'content');
      }
      return { server, sftp, local, remote: server.path };
    }

    test('a local FIFO is refused before its reader notices, and the advice is good', async (t) => {
      const { sftp, local, remote } = await setUp(t);
      const fifo = join(local, 'fifo');
      const refusal = {
        code: 'EEXIST',
        message: /not a regular file but a fifo; write to it with getfo and a stream/,
      };
      mkdirSync(join(local, 'tree'));
      execFileSync('mkfifo', [join(local, 'tree', 'file')]);
      for (const atomic of ATOMIC) {
        // Nobody reads from it.
        await assert.rejects(sftp.get(remote('file'), fifo, { atomic }), refusal);
        await assert.rejects(sftp.getD(remote(''), join(local, 'tree'), { atomic }), refusal);
      }
      const reader = spawn('cat', [fifo], { stdio: ['ignore', 'pipe', 'ignore'] });
      t.after(() => reader.kill());
      for (const atomic of ATOMIC) await assert.rejects(sftp.get(remote('file'), fifo, { atomic }), refusal);
      const pipe = createWriteStream(fifo);
      await sftp.getfo(remote('file'), pipe);
      pipe.end();
      assert.equal(await text(reader.stdout), 'content');

      await assert.rejects(sftp.put(fifo, remote('up')), {
        code: 'EINVAL',
        message: /a fifo; upload what it gives with putfo and a stream/,
      });
      const writing = writeFile(fifo, 'through the pipe');
      await sftp.putfo(createReadStream(fifo), remote('up'));
      await writing;
      assert.equal(String(await sftp.readFile(remote('up'))), 'through the pipe');
    });

    test('a local device is written to where it can be, in place only', async (t) => {
      const { sftp, remote } = await setUp(t);
      for (const atomic of [undefined, true]) {
        await assert.rejects(sftp.get(remote('file'), '/dev/null', { atomic }), {
          code: 'EEXIST',
          message: /a character-device; set atomic: false, or write to it with getfo and a stream/,
        });
      }
      await sftp.get(remote('file'), '/dev/null', { atomic: false });
      await assert.rejects(sftp.get(remote('file'), '/dev/ptmx', { atomic: false }), {
        code: 'EEXIST',
        message: /a character-device; write to it with getfo and a stream/,
      });
      assert.equal(lstatSync('/dev/null').isCharacterDevice(), true);
    });

    test('a pipe behind a link of the kernel is refused, as /dev/stdout may be one', async (t) => {
      const { sftp, local, remote } = await setUp(t);
      const pipe = spawn('cat', { stdio: ['pipe', 'pipe', 'ignore'] });
      t.after(() => pipe.kill());
      symlinkSync(`/proc/${pipe.pid}/fd/0`, join(local, 'stdout'));
      for (const atomic of ATOMIC) {
        await assert.rejects(sftp.get(remote('file'), join(local, 'stdout'), { atomic }), {
          code: 'EEXIST',
          message: /write to it with getfo and a stream/,
        });
      }
      const reading = text(pipe.stdout);
      await sftp.getfo(remote('file'), pipe.stdin);
      pipe.stdin.end();
      assert.equal(await reading, 'content');
    });

    test('a FIFO on the server is refused by whatever copies, and does not block the session', async (t) => {
      const { server, sftp, local, remote } = await setUp(t);
      const [file, fifo] = [join(local, 'file'), remote('fifo')];
      symlinkSync('fifo', join(server.folder, 'link'));
      mkdirSync(join(local, 'tree'));
      writeFileSync(join(local, 'tree', 'fifo'), 'a file');
      const source = { code: 'EINVAL', message: /a fifo; SFTP cannot read all of it: run a command there/ };
      const target = {
        code: 'EEXIST',
        message: /a fifo; SFTP cannot write to it in order: run a command there/,
      };
      for (const atomic of ATOMIC) {
        await assert.rejects(sftp.put(file, fifo, { atomic }), target);
        await assert.rejects(sftp.putR(join(local, 'tree'), remote(''), { atomic }), target);
        await assert.rejects(sftp.copy(remote('file'), fifo, { atomic }), target);
        await assert.rejects(copyBetween(sftp, remote('file'), sftp, fifo, { atomic }), target);
        await assert.rejects(sftp.get(fifo, join(local, 'down'), { atomic }), source);
        await assert.rejects(sftp.copy(fifo, remote('new'), { atomic }), source);
        await assert.rejects(copyBetween(sftp, fifo, sftp, remote('new'), { atomic }), source);
        const options = { direction: 'up', atomic } as const;
        const { skipped } = await sftp.mirror(join(local, 'tree'), remote(''), options);
        assert.deepEqual(
          skipped.map(({ path, reason }) => [path, reason]),
          [['fifo', 'type']],
        );
      }
      await assert.rejects(sftp.putfo('content', fifo), target);
      await assert.rejects(sftp.copy(remote('file'), remote('link'), { atomic: false }), target);
      await assert.rejects(sftp.getfo(fifo, { write: () => {} }), source);
      assert.deepEqual(readdirSync(server.folder).sort(), ['fifo', 'file', 'link']);
      assert.equal(lstatSync(join(server.folder, 'fifo')).isFIFO(), true);
      if (name !== 'OpenSSH') return;
      const reading = createReadStream(join(server.folder, 'fifo'));
      await sftp.run(`cat > '${fifo}'`, { input: 'content' });
      assert.equal(await text(reading), 'content');
      await finished(reading);
    });

    test('a FIFO on the server that nobody reads from is told soon by whatever writes', async (t) => {
      const { server, sftp, remote } = await setUp(t);
      const fifo = remote('fifo');
      const refusal = { code: 'EEXIST', message: /not a regular file but a fifo; .* until it has a reader/ };
      const calls = [
        () => sftp.writeFile(fifo, 'x'),
        () => sftp.appendFile(fifo, 'x'),
        () => sftp.open(fifo, 'w'),
        () => finished(sftp.createWriteStream(fifo).end('x')),
      ];
      for (const call of calls) {
        await assert.rejects(call(), name === 'OpenSSH' ? refusal : { code: 'FAILURE' });
        if (name !== 'OpenSSH') continue;
        // The server is free as soon as somebody reads, and what it opens late is closed.
        await text(createReadStream(join(server.folder, 'fifo')));
        assert.equal(String(await sftp.readFile(remote('file'))), 'content');
      }
    });

    test('a file that is a mount point is written in place or refused, and loses nothing', async (t) => {
      const { server, sftp, local, remote } = await setUp(t);
      using mounts = new Mounts();
      for (const folder of [local, server.folder]) {
        writeFileSync(join(folder, 'behind'), 'old content');
        writeFileSync(join(folder, 'mounted'), '');
        if (!mounts.add(join(folder, 'behind'), join(folder, 'mounted'))) {
          return t.skip('needs the right to mount');
        }
      }
      const [here, there] = [join(local, 'mounted'), join(server.folder, 'mounted')];
      const refusal = {
        code: /EBUSY|FAILURE/,
        message: /mounted' cannot be written under a temporary name .* set atomic: false/,
      };
      mkdirSync(join(local, 'tree'));
      writeFileSync(join(local, 'tree', 'mounted'), 'from a tree');

      await assert.rejects(sftp.get(remote('file'), here), refusal);
      await assert.rejects(sftp.put(join(local, 'file'), remote('mounted'), { atomic: true }), refusal);
      assert.deepEqual(
        [readFileSync(here, 'utf8'), readFileSync(there, 'utf8')],
        ['old content', 'old content'],
      );
      assert.deepEqual(
        readdirSync(server.folder).filter((name) => name.startsWith('.tsftp')),
        [],
      );
      assert.deepEqual(
        readdirSync(local).filter((name) => name.startsWith('.tsftp')),
        [],
      );

      const told: string[] = [];
      const onInPlace = (path: string) => told.push(path);
      await sftp.get(remote('file'), here, { atomic: 'preferred', onInPlace });
      assert.deepEqual(told, [here]);
      assert.equal(readFileSync(join(local, 'behind'), 'utf8'), 'content');
      writeFileSync(here, 'old content');
      await sftp.get(remote('file'), here, { atomic: false });
      await sftp.put(join(local, 'file'), remote('mounted'));
      assert.deepEqual([readFileSync(here, 'utf8'), readFileSync(there, 'utf8')], ['content', 'content']);
      const { overwrittenInPlace } = await sftp.putR(join(local, 'tree'), remote(''));
      assert.deepEqual(overwrittenInPlace, [remote('mounted')]);
      assert.equal(readFileSync(join(server.folder, 'behind'), 'utf8'), 'from a tree');
    });
  });
}

/** Files that are mount points as long as this is in use. */
class Mounts implements Disposable {
  readonly #targets: string[] = [];

  /** Lets `target` be the file `source`; false where that is not allowed. */
  add(source: string, target: string): boolean {
    try {
      execFileSync('mount', ['--bind', source, target], { stdio: 'ignore' });
    } catch {
      return false;
    }
    this.#targets.push(target);
    return true;
  }

  [Symbol.dispose](): void {
    for (const target of this.#targets) execFileSync('umount', [target]);
  }
}
