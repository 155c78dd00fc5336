/** An open file, against OpenSSH's server and the embedded one. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Connection, RemoteFile } from '../../../src/index.js';
import { SftpError } from '../../../src/index.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';
import { contentOf, lengths } from './contents.js';

for (const kind of serverKinds) {
  describe(`A remote file on ${kind.name}`, { skip: kind.skip }, () => {
    const world: { server?: ServerUnderTest; sftp?: Connection } = {};
    let count = 0;
    before(async () => {
      world.server = await kind.start();
      world.sftp = await world.server.connect();
    });
    after(async () => {
      await world.sftp?.close();
      await world.server?.stop();
    });

    /** A new name, with content where it is given: its path here and there. */
    function newFile(content?: string | Buffer): { readonly here: string; readonly there: string } {
      const { server } = world;
      assert.ok(server);
      count += 1;
      const here = join(server.folder, `file-${count}`);
      if (content !== undefined) writeFileSync(here, content);
      return { here, there: server.path(`file-${count}`) };
    }

    function open(path: string, mode?: string): Promise<RemoteFile> {
      assert.ok(world.sftp);
      return world.sftp.open(path, mode);
    }

    test('read gives so many bytes, then the rest, then nothing, and tell follows', async () => {
      await using file = await open(newFile('one two three').there);
      assert.equal(String(await file.read(4)), 'one ');
      assert.equal(file.tell(), 4);
      assert.equal(String(await file.read(0)), '');
      assert.equal(String(await file.read()), 'two three');
      assert.equal(file.tell(), 13);
      assert.equal(String(await file.read(5)), '');
    });

    test('reads that are called at once give their parts in the order of the calls', async () => {
      const content = contentOf(700_000);
      await using file = await open(newFile(content).there);
      const parts = await Promise.all([300_000, 1, 99_999, 400_000, 5].map((length) => file.read(length)));
      assert.deepEqual(
        parts.map((part) => part.length),
        [300_000, 1, 99_999, 300_000, 0],
      );
      assert.ok(Buffer.concat(parts).equals(content));
    });

    test('content of every length is written and read back identical', async () => {
      for (const length of lengths) {
        const content = contentOf(length);
        const { here, there } = newFile();
        await using file = await open(there, 'w+');
        assert.equal(await file.write(content), length);
        assert.equal(file.tell(), length);
        assert.ok(readFileSync(here).equals(content));
        assert.equal(await file.seek(0), 0);
        assert.ok((await file.read()).equals(content));
        assert.ok((await file.readAt(0, length + 10)).equals(content));
        assert.ok((await file.readFile()).equals(content));
      }
    });

    test('seek counts from the start, from the position and from the end', async () => {
      await using file = await open(newFile('0123456789').there);
      assert.equal(await file.seek(7), 7);
      assert.equal(await file.seek(-2, 'current'), 5);
      assert.equal(String(await file.read(2)), '56');
      assert.equal(await file.seek(-1, 'end'), 9);
      assert.equal(await file.seek(-3, 2), 7);
      assert.equal(await file.seek(1, 1), 8);
      assert.equal(await file.seek(2, 0), 2);
      await assert.rejects(file.seek(-3, 'current'), RangeError);
      assert.equal(file.tell(), 2);
    });

    test('a write behind the end leaves zeros in between', async () => {
      const { here, there } = newFile('ab');
      await using file = await open(there, 'r+');
      await file.seek(4);
      await file.write('c');
      assert.equal(readFileSync(here, 'latin1'), 'ab\0\0c');
    });

    test('readAt and writeAt leave the position alone', async () => {
      const { here, there } = newFile('0123456789');
      await using file = await open(there, 'r+');
      await file.seek(3);
      assert.equal(await file.writeAt(8, 'xyz'), 3);
      assert.equal(String(await file.readAt(7, 2)), '7x');
      assert.equal(String(await file.readAt(100, 2)), '');
      assert.equal(file.tell(), 3);
      assert.equal(readFileSync(here, 'latin1'), '01234567xyz');
    });

    test('a file is appended to at its end, wherever it was read before', async () => {
      const { here, there } = newFile('one\n');
      await using file = await open(there, 'a+');
      assert.equal(file.tell(), 4);
      await file.seek(0);
      assert.equal(String(await file.read(3)), 'one');
      await Promise.all([file.write('two\n'), file.write('three\n')]);
      assert.equal(readFileSync(here, 'latin1'), 'one\ntwo\nthree\n');
      await using fresh = await open(newFile().there, 'a');
      assert.equal(fresh.tell(), 0);
      await fresh.write('x');
    });

    test('x refuses what is there, w empties it, r+ keeps it, r needs it', async () => {
      const { here, there } = newFile('old');
      await assert.rejects(open(there, 'x'), { name: 'SftpStatusError', operation: 'open' });
      assert.equal(readFileSync(here, 'latin1'), 'old');
      await (await open(there, 'r+')).close();
      assert.equal(readFileSync(here, 'latin1'), 'old');
      await (await open(there, 'w')).close();
      assert.equal(readFileSync(here, 'latin1'), '');
      for (const mode of ['r', 'r+']) {
        await assert.rejects(open(newFile().there, mode), { name: 'SftpStatusError', code: 'ENOENT' });
      }
      const fresh = newFile();
      await (await open(fresh.there, 'xb')).close();
      assert.ok(existsSync(fresh.here));
    });

    test('readFile reads all and writeFile replaces all, and the position stays', async () => {
      const { here, there } = newFile('a long old text');
      await using file = await open(there, 'r+');
      await file.seek(2);
      assert.equal(await file.readFile('utf8'), 'a long old text');
      assert.equal(await file.readFile({ encoding: 'hex' }), Buffer.from('a long old text').toString('hex'));
      await file.writeFile('neü');
      assert.equal(file.tell(), 2);
      assert.equal(readFileSync(here, 'utf8'), 'neü');
    });

    test('stat, truncate, chmod, utimes and sync act on the open file', async () => {
      const { here, there } = newFile('0123456789');
      await using file = await open(there, 'r+');
      assert.equal((await file.stat()).size, 10);
      assert.equal(await file.truncate(4), 4);
      assert.equal(await file.truncate(6), 6);
      assert.equal(readFileSync(here, 'latin1'), '0123\0\0');
      await file.chmod(640);
      assert.equal(statSync(here).mode & 0o7777, 0o640);
      await file.utimes(1000.9, new Date(2_000_000));
      assert.deepEqual([statSync(here).atimeMs, statSync(here).mtimeMs], [1_000_000, 2_000_000]);
      await file.sync();
    });

    test('lines come one by one, and one may stop and go on', async () => {
      await using file = await open(newFile('one\r\ntwo é\n\nlast').there);
      for await (const line of file) {
        assert.equal(line, 'one');
        break;
      }
      assert.equal(file.tell(), 5);
      assert.equal(String(await file.read(3)), 'two');
      assert.deepEqual(await collect(file.lines()), [' é', '', 'last']);
      assert.deepEqual(await collect(file.lines()), []);
    });

    test('a line that is too long is an error, and the file stays usable', async () => {
      await using file = await open(newFile(`short\n${'x'.repeat(100_000)}`).there);
      const found: string[] = [];
      const reading = async () => {
        for await (const line of file.lines({ maxLength: 1000 })) found.push(line);
      };
      const tooLong = new SftpError('LIMIT', `'${file.path}' has a line of more than 1000 bytes`);
      await assert.rejects(reading(), tooLong);
      assert.deepEqual(found, ['short']);
      assert.equal(file.tell(), 6);
      assert.equal(String(await file.read(3)), 'xxx');
    });

    test('close waits for what was called before, and may be called again', async () => {
      const { here, there } = newFile();
      const file = await open(there, 'w');
      const writing = [file.write('one '), file.write('two')];
      await Promise.all([file.close(), file.close()]);
      assert.equal(readFileSync(here, 'latin1'), 'one two');
      assert.deepEqual(await Promise.all(writing), [4, 3]);
      const closed = new SftpError('EBADF', `The file '${there}' is closed`);
      await assert.rejects(file.write('x'), closed);
      await assert.rejects(file.read(), closed);
      await assert.rejects(file.stat(), closed);
      await assert.rejects(file.seek(0), closed);
      await assert.rejects(collect(file.lines()), closed);
    });

    test('whole files are read, written and appended to by their paths', async () => {
      const { sftp } = world;
      assert.ok(sftp);
      for (const length of lengths) {
        const { here, there } = newFile();
        const content = contentOf(length);
        await sftp.writeFile(there, content);
        assert.ok(readFileSync(here).equals(content));
        assert.ok((await sftp.readFile(there)).equals(content));
        await sftp.appendFile(there, 'é');
        assert.ok(readFileSync(here).equals(Buffer.concat([content, Buffer.from('é')])));
      }
      const { here, there } = newFile();
      await sftp.writeFile(there, 'ff00', { encoding: 'hex', mode: 600, flag: 'wx' });
      assert.deepEqual([...readFileSync(here)], [255, 0]);
      assert.equal(statSync(here).mode & 0o777, 0o600);
      assert.equal(await sftp.readFile(there, 'latin1'), 'ÿ\0');
      await assert.rejects(sftp.writeFile(there, 'x', { flag: 'wx' }), { name: 'SftpStatusError' });
      await assert.rejects(sftp.readFile(newFile().there), { code: 'ENOENT' });
    });
  });
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}
