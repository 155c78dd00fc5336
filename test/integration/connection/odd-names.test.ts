/** Names that look like something else are names like others, in every call that lists. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Connection } from '../../../src/index.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';

const NAMES = ['C:\\data', 'C:', '~', '-', '-rf', 'a\\b', 'a:b', '%41', '*', '$HOME'];

for (const { name, skip, start } of serverKinds) {
  describe(`names that look like something else, with ${name}`, { skip }, () => {
    let server: ServerUnderTest;
    let sftp: Connection;
    before(async () => {
      server = await start();
      sftp = await server.connect();
    });
    after(async () => {
      await sftp?.close();
      await server?.stop();
    });

    for (const odd of NAMES) {
      test(`a directory with the name '${odd}' stays where it is`, async () => {
        const box = `box of ${NAMES.indexOf(odd)}`;
        const disk = join(server.folder, box);
        mkdirSync(join(disk, odd, 'below'), { recursive: true });
        writeFileSync(join(disk, odd, 'below', 'file'), 'content');
        const expected = [odd, `${odd}/below`, `${odd}/below/file`];
        await sftp.cd(server.path(box), async () => {
          assert.deepEqual(await sftp.listdir('.'), [odd]);
          const walked: string[] = [];
          for await (const { path } of sftp.walk('.')) walked.push(path);
          assert.deepEqual(
            walked,
            expected.map((path) => `./${path}`),
          );
          const called: string[] = [];
          const call = (path: string) => void called.push(path);
          await sftp.walktree('.', call, call, call);
          assert.deepEqual(
            called,
            expected.map((path) => `./${path}`),
          );
          assert.deepEqual(await sftp.glob('**'), expected);
          const seen: string[] = [];
          for await (const { path } of sftp.watch('.', { recursive: true, initial: true })) {
            if (seen.push(path) === expected.length) break;
          }
          assert.deepEqual(
            seen,
            expected.map((path) => `./${path}`),
          );
          await sftp.cd(odd, async () => {
            assert.equal(await sftp.readFile('below/file', 'utf8'), 'content');
            assert.deepEqual(await sftp.listdir('.'), ['below']);
          });
          await sftp.rmtree(odd);
          assert.ok(!existsSync(join(disk, odd)));
        });
      });
    }
  });
}
