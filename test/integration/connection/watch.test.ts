import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  type Clock,
  type Watcher,
  waitForFile,
  watchDirectory,
} from '../../../src/connection/search/watch.js';
import type { Connection, WatchEvent } from '../../../src/index.js';
import { joinPath } from '../../../src/shared/remote-path.js';
import { startServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';

/** Time passes only while somebody sleeps, and one step of the story happens then. */
class Story implements Clock {
  nowMs = 0;
  readonly slept: number[] = [];
  readonly #steps: (() => void)[];
  readonly #timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();

  constructor(...steps: (() => void)[]) {
    this.#steps = steps;
  }

  get timers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.nowMs;
  }

  async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    this.slept.push(milliseconds);
    this.nowMs += milliseconds;
    this.#steps.shift()?.();
    for (const { atMs, callback } of this.#timers) if (atMs <= this.nowMs) callback();
    signal.throwIfAborted();
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer = { atMs: this.nowMs + milliseconds, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }
}

for (const { name, skip, start } of serverKinds) {
  describe(`waiting for others with ${name}`, { skip }, () => {
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

    let folders = 0;
    /** A fresh folder, and what looks at it: relative paths count from there. */
    function makeBox(clock: Clock): { readonly disk: string; readonly watcher: Watcher } {
      folders += 1;
      const disk = join(server.folder, `box ${folders}`);
      mkdirSync(disk);
      const base = Buffer.from(server.path(`box ${folders}`));
      const watcher: Watcher = {
        client: sftp.sftpClient,
        resolve: (path) => joinPath(base, Buffer.from(path)),
        closed: new AbortController().signal,
        clock,
      };
      return { disk, watcher };
    }

    test('waitForFile waits until a file is there and has come to rest', async () => {
      const file = (content: string) => () => {
        writeFileSync(join(box.disk, 'order.csv'), content);
        utimesSync(join(box.disk, 'order.csv'), 1, 1);
      };
      const story = new Story(
        () => mkdirSync(join(box.disk, 'folder.csv')),
        file('a'),
        file('ab'),
        file('abc'),
        () => utimesSync(join(box.disk, 'order.csv'), 2, 2),
      );
      const box = makeBox(story);
      const { path, attributes } = await waitForFile(box.watcher, '*.csv', { stableFor: 2500 });
      assert.deepEqual([path, attributes.size, attributes.mtime], ['order.csv', 3, 2]);
      assert.deepEqual(story.slept, [1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 500]);
      assert.equal(story.timers, 0);
    });

    test('waitForFile with stableFor 0 takes what is there, the first by name', async () => {
      const story = new Story();
      const box = makeBox(story);
      for (const each of ['b', 'a', 'c']) writeFileSync(join(box.disk, each), each);
      assert.equal((await waitForFile(box.watcher, '*', { stableFor: 0 })).path, 'a');
      assert.deepEqual(story.slept, []);
    });

    test('waitForFile gives up after its timeout, and says whether there was something', async () => {
      const story = new Story();
      const box = makeBox(story);
      await assert.rejects(waitForFile(box.watcher, 'x', { timeout: 3000 }), {
        name: 'TimeoutError',
        message: "waitForFile 'x': no file fits after 3000 ms",
      });
      writeFileSync(join(box.disk, 'x'), '');
      await assert.rejects(
        waitForFile(box.watcher, 'x', { timeout: 3000, stableFor: 9000 }),
        /1 files fit, but none/,
      );
      assert.equal(story.timers, 0);
    });

    test('a file that goes again is not waited for', async () => {
      const story = new Story(
        () => writeFileSync(join(box.disk, 'a'), ''),
        () => rmSync(join(box.disk, 'a')),
        () => writeFileSync(join(box.disk, 'b'), ''),
      );
      const box = makeBox(story);
      assert.equal((await waitForFile(box.watcher, '?', { stableFor: 2000 })).path, 'b');
    });

    test('a file that is written again within the second of its time is never reported, however short stableFor is', async () => {
      const write = (content: string) => () => {
        writeFileSync(join(box.disk, 'a'), content);
        utimesSync(join(box.disk, 'a'), 5, 5);
      };
      const story = new Story(write('1'), ...Array.from({ length: 9 }, () => () => {}), write('12'));
      const box = makeBox(story);
      const { attributes } = await waitForFile(box.watcher, 'a', { stableFor: 1, pollInterval: 100 });
      assert.equal(attributes.size, 2);
      // Eleven looks until the second write, and two seconds behind it.
      assert.equal(story.nowMs, 1100 + 2000);
    });

    test('waitForFile takes what a listing tells, and asks only where links lead', async (t) => {
      const box = makeBox(new Story());
      for (const each of ['b', 'c', 'd']) writeFileSync(join(box.disk, each), each);
      symlinkSync('b', join(box.disk, 'a'));
      const stat = t.mock.method(sftp.sftpClient, 'stat');
      const opendir = t.mock.method(sftp.sftpClient, 'opendir');
      const { path, attributes } = await waitForFile(box.watcher, '{a*,?,[bc]*}', { stableFor: 0 });
      assert.deepEqual([path, attributes.type], ['a', 'file']);
      assert.equal(stat.mock.callCount(), 1);
      assert.equal(opendir.mock.callCount(), 1);
    });

    test('waitForFile finds a file whose name is not UTF-8, and gives its bytes', async () => {
      const box = makeBox(new Story());
      const name = Buffer.from('caf\xe9.csv', 'latin1');
      writeFileSync(Buffer.concat([Buffer.from(`${box.disk}/`), name]), '');
      const { path, pathBytes } = await waitForFile(box.watcher, '*.csv', { stableFor: 0 });
      assert.deepEqual([path, Buffer.from(pathBytes)], ['caf\ufffd.csv', name]);
    });

    test('watch with stableFor tells of a file when it has come to rest, and of its changes', async () => {
      const at = (name: string) => join(box.disk, name);
      const write = (content: string, time: number) => () => {
        writeFileSync(at('a'), content);
        utimesSync(at('a'), time, time);
      };
      const nothing = () => {};
      const story = new Story(
        write('1', 1),
        write('12', 1),
        () => mkdirSync(at('d')),
        nothing,
        write('123', 2),
        nothing,
        nothing,
        () => rmSync(at('a')),
        write('gone again', 3),
        () => rmSync(at('a')),
      );
      const box = makeBox(story);
      const told: string[] = [];
      for await (const event of watchDirectory(box.watcher, '.', { stableFor: 500 })) {
        told.push(`${story.nowMs} ${tell(event)}`);
        if (told.length === 4) break;
      }
      assert.deepEqual(told, ['3000 created d', '4000 created a', '7000 changed a 2→3', '8000 removed a']);
    });

    test('watch tells what is created, changed and removed, and nothing else', async () => {
      const at = (name: string) => join(box.disk, name);
      const story = new Story(
        () => {
          writeFileSync(at('a'), 'x');
          mkdirSync(at('d'));
          symlinkSync('nowhere', at('l'));
        },
        () => writeFileSync(at('d/f'), 'below'),
        () => {
          truncateSync(at('a'), 5);
          utimesSync(at('old'), 7, 7);
        },
        () => renameSync(at('a'), at('b')),
        () => {
          rmSync(at('l'));
          mkdirSync(at('l'));
          rmSync(at('old'));
        },
      );
      const box = makeBox(story);
      writeFileSync(at('old'), 'x');
      const told: string[] = [];
      for await (const event of watchDirectory(box.watcher, '.', {})) {
        told.push(tell(event));
        if (told.length === 10) break;
      }
      assert.deepEqual(told, [
        'created a',
        'created d',
        'created l',
        'changed a 1→5',
        'changed old 1→1',
        'removed a',
        'created b',
        'removed l',
        'removed old',
        'created l',
      ]);
    });

    test('watch looks at everything below, and at what is there at first, where told to', async () => {
      const story = new Story(
        () => writeFileSync(join(box.disk, 'd', 'g'), ''),
        () => rmSync(join(box.disk, 'd'), { recursive: true }),
      );
      const box = makeBox(story);
      mkdirSync(join(box.disk, 'd'));
      writeFileSync(join(box.disk, 'd', 'f'), '');
      const told: string[] = [];
      for await (const event of watchDirectory(box.watcher, '.', { recursive: true, initial: true })) {
        told.push(tell(event));
        if (told.length === 6) break;
      }
      assert.deepEqual(told, [
        'created d',
        'created d/f',
        'created d/g',
        'removed d',
        'removed d/f',
        'removed d/g',
      ]);
    });

    test('an abort ends both with its reason, and a directory that goes ends the watch', async () => {
      const controller = new AbortController();
      const { signal } = controller;
      const story = new Story(() => controller.abort(new Error('enough')));
      const box = makeBox(story);
      await assert.rejects(watchDirectory(box.watcher, '.', { signal }).next(), /enough/);
      await assert.rejects(waitForFile(box.watcher, '*', { signal }), /enough/);
      const gone = makeBox(new Story(() => rmSync(gone.disk, { recursive: true })));
      await assert.rejects(watchDirectory(gone.watcher, '.', {}).next(), { code: 'ENOENT' });
    });

    test('closing the connection ends both at once, though they sleep', async () => {
      const own = await server.connect();
      const options = { pollInterval: 2 ** 30 };
      const watching = own.watch(server.path('.'), options).next();
      const waiting = own.waitForFile('nothing-like-that', options);
      const settled = Promise.allSettled([watching, waiting]);
      // The listings are over when the server has answered what was asked after them.
      await own.listdir(server.path('.'));
      await own.listdir(server.path('.'));
      await own.close();
      for (const result of await settled) {
        assert.equal(result.status, 'rejected');
        assert.equal((result as PromiseRejectedResult).reason.code, 'CLOSED');
      }
    });

    test('what cannot be meant is refused', async () => {
      await assert.rejects(sftp.waitForFile('*', { stableFor: -1 }), RangeError);
      await assert.rejects(sftp.waitForFile('*', { timeout: Number.NaN }), RangeError);
      await assert.rejects(sftp.waitForFile('', {}), TypeError);
      await assert.rejects(sftp.watch('.', { pollInterval: 0 }).next(), RangeError);
      assert.throws(() => sftp.watch('a\0b'), TypeError);
    });
  });
}

test('an unreadable directory below a watched one neither ends the watch nor counts as empty', async (t) => {
  let isReadable = true;
  const root = makeFolder(t);
  mkdirSync(join(root, 'box/d'), { recursive: true });
  const write = (name: string) => () => writeFileSync(join(root, name), name);
  for (const name of ['box/d/f', 'box/e']) write(name)();
  const server = await startServer(
    { root },
    {
      faults: {
        failOn: ({ kind, path }) =>
          kind === 'opendir' && path?.endsWith('/d') && !isReadable ? 'EACCES' : undefined,
      },
    },
  );
  const sftp = await connectToServer(server);
  t.after(async () => {
    await sftp.close();
    await server.close();
  });
  const story = new Story(
    () => {
      isReadable = false;
    },
    write('box/new'),
    () => {
      isReadable = true;
    },
    write('box/newer'),
  );
  const watcher: Watcher = {
    client: sftp.sftpClient,
    resolve: (path) => Buffer.from(path),
    closed: new AbortController().signal,
    clock: story,
  };
  const told: string[] = [];
  for await (const event of watchDirectory(watcher, 'box', { recursive: true })) {
    told.push(tell(event));
    if (told.length === 2) break;
  }
  assert.deepEqual(told, ['created box/new', 'created box/newer']);
});

for (const { name, skip, start } of serverKinds) {
  describe(`waiting over a lost connection with ${name}`, { skip }, () => {
    let server: ServerUnderTest;
    before(async () => {
      server = await start();
    });
    after(() => server?.stop());

    test('waitForFile and watch continue over a reconnect, and tell once what has changed meanwhile', async () => {
      const own = await server.connect({ retry: { delay: 1, jitter: 0 } });
      const box = 'box';
      mkdirSync(join(server.folder, box));
      writeFileSync(join(server.folder, box, 'old'), '');
      const events = own.watch(server.path(box), { pollInterval: 5, initial: true });
      assert.equal((await events.next()).value?.path, `${server.path(box)}/old`);
      const waiting = own.waitForFile(`${server.path(box)}/*.csv`, { pollInterval: 5, stableFor: 0 });
      for (const name of ['b.csv', 'c.csv']) {
        server.cut();
        writeFileSync(join(server.folder, box, name), name);
        assert.equal((await events.next()).value?.path, `${server.path(box)}/${name}`);
      }
      assert.equal((await waiting).path, `${server.path(box)}/b.csv`);
      await events.return();
      await own.close();
    });

    test('a lost connection ends the waiting without retry', async () => {
      const own = await server.connect();
      const waiting = own.waitForFile(server.path('nothing'), { pollInterval: 5 });
      const settled = assert.rejects(waiting, { name: 'ConnectionLostError' });
      server.cut();
      await settled;
    });
  });
}

function tell(event: WatchEvent): string {
  const path = event.path.replace(/^\.\//, '');
  return event.type === 'changed'
    ? `changed ${path} ${event.previous.size}→${event.attributes.size}`
    : `${event.type} ${path}`;
}
