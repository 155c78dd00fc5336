/** What the caller's own code throws in the middle of a transfer. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { type Connection, ConnectionLostError, copyBetween } from '../../../src/index.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';

const SIZE = 1_000_000;

for (const { name, skip, start } of serverKinds) {
  describe(`a callback that throws, with ${name}`, { skip }, () => {
    let server: ServerUnderTest;
    let sftp: Connection;
    let remoteTree: string;
    before(async () => {
      server = await start();
      // A loss would be made good; what a callback throws is none, even where it looks like one.
      sftp = await server.connect({ retry: { attempts: 3, delay: 1 } });
      fill(join(server.folder, 'tree'));
      remoteTree = server.path('tree');
    });
    after(async () => {
      await sftp?.close();
      await server?.stop();
    });

    function fill(folder: string): string {
      mkdirSync(folder);
      writeFileSync(join(folder, 'large'), randomBytes(SIZE));
      writeFileSync(join(folder, 'small'), 'small');
      return folder;
    }

    const reasons: readonly unknown[] = [
      new Error('mine'),
      Object.assign(new Error('mine'), { code: 'ENOENT' }),
      new ConnectionLostError('mine'),
      'a text',
      undefined,
    ];

    type Thrower = () => never;
    const works: Readonly<
      Record<string, (callback: Thrower, local: string, target: string, remote: string) => Promise<unknown>>
    > = {
      get: (callback, _, target) => sftp.get(`${remoteTree}/large`, join(target, 'x'), { callback }),
      'get in place': (callback, _, target) =>
        sftp.get(`${remoteTree}/large`, join(target, 'x'), { callback, resume: false }),
      put: (callback, local, _, remote) =>
        sftp.put(join(local, 'large'), `${remote}/x`, { callback, atomic: true }),
      getR: (callback, _, target) =>
        sftp.cd(remoteTree, () => sftp.getR('.', target, { callback, continueOnError: true })),
      putR: (callback, local, _, remote) =>
        sftp.putR(local, remote, { callback, atomic: true, continueOnError: true }),
      filter: (filter, local, _, remote) =>
        sftp.putR(local, remote, { filter, atomic: true, continueOnError: true }),
      'filter later': (filter, local, _, remote) =>
        sftp.putR(local, remote, { filter: async () => filter(), atomic: true }),
      'mirror up': (callback, local, _, remote) =>
        sftp.mirror(local, remote, { direction: 'up', callback, continueOnError: true }),
      'mirror down': (callback, _, target) =>
        sftp.mirror(remoteTree, target, { direction: 'down', callback, continueOnError: true }),
      'filter of a mirror': (filter, local, _, remote) =>
        sftp.mirror(local, remote, { direction: 'up', filter }),
      getfo: (callback) => sftp.getfo(`${remoteTree}/large`, new PassThrough().resume(), { callback }),
      putfo: (callback, _local, _target, remote) =>
        sftp.putfo(randomBytes(SIZE), `${remote}/x`, { callback, atomic: true }),
      copy: (callback, _local, _target, remote) =>
        sftp.copy(`${remoteTree}/large`, `${remote}/x`, { callback }),
      copyBetween: (callback, _local, _target, remote) =>
        copyBetween(sftp, `${remoteTree}/large`, sftp, `${remote}/x`, { callback }),
    };
    let count = 0;
    for (const [work, run] of Object.entries(works)) {
      test(`${work}: comes out as it was thrown, once, and leaves nothing`, async (t) => {
        const local = fill(join(makeFolder(t), 'local'));
        for (const reason of reasons) {
          const target = makeFolder(t);
          count += 1;
          mkdirSync(join(server.folder, `remote ${count}`));
          let calls = 0;
          const callback = (): never => {
            calls += 1;
            throw reason;
          };
          const outcome = await run(callback, local, target, server.path(`remote ${count}`)).then(
            () => 'resolved',
            (error: unknown) => ({ error }),
          );
          assert.deepEqual(outcome, { error: reason });
          if (typeof outcome === 'object') assert.equal(outcome.error, reason);
          assert.ok(calls === 1 || work === 'filter later', `${calls} calls`);
          const left = [
            ...snapshot(target).keys(),
            ...snapshot(join(server.folder, `remote ${count}`)).keys(),
          ];
          assert.deepEqual(
            left.filter((path) => path !== 'small'),
            [],
          );
        }
        assert.ok(await sftp.exists(remoteTree));
      });
    }
  });
}
