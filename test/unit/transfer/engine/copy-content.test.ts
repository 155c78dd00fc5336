import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { deferred } from '../../../../src/shared/promises.js';
import { ContentCopy } from '../../../../src/transfer/engine/copy-content.js';
import { Window } from '../../../../src/transfer/engine/window.js';
import type { FileInfo, SourceFile, TargetFile } from '../../../../src/transfer/file-system.js';

const SIZE = 50;
const INFO: FileInfo = { type: 'file', size: SIZE, mode: undefined, atime: undefined, mtime: undefined };

function source(): SourceFile {
  return {
    info: INFO,
    read: async (offset, length) =>
      offset < SIZE ? [Buffer.alloc(Math.min(length, SIZE - offset), 1)] : null,
    close: async () => {},
  };
}

/** A file behind a channel, through which nothing comes before `opened`. */
function target(room: Window, opened: Promise<void>, write: () => void = () => {}): TargetFile {
  return {
    isOrdered: false,
    room,
    write: async () => {
      await opened;
      write();
    },
    setAttributes: async () => {},
    close: async () => {},
  };
}

describe('Files that share a window and go through several channels', () => {
  const copy = (window: Window, file: TargetFile) =>
    new ContentCopy(source(), file, { window, chunkLength: () => 1, finish: async () => {} });

  test('leave room for those of another channel while theirs carries nothing', async () => {
    const window = new Window({ max: 8 });
    const [slow, fast] = [new Window({ max: 2 }), new Window({ max: 2 })];
    const stuck = deferred();
    const waiting = Array.from({ length: 4 }, () => copy(window, target(slow, stuck.promise)).run());
    const others = Array.from({ length: 4 }, () => copy(window, target(fast, Promise.resolve())).run());
    assert.deepEqual(await Promise.all(others), [SIZE, SIZE, SIZE, SIZE]);
    assert.deepEqual([slow.used, window.used], [2, 2]);
    stuck.resolve();
    assert.deepEqual(await Promise.all(waiting), [SIZE, SIZE, SIZE, SIZE]);
    assert.deepEqual([slow.used, fast.used, window.used], [0, 0, 0]);
  });

  test('give back what they had of both where one of them fails', async () => {
    const window = new Window({ max: 8 });
    const room = new Window({ max: 4 });
    const refuse = () => {
      throw new Error('the disk is full');
    };
    const failing = copy(window, target(room, Promise.resolve(), refuse)).run();
    const other = copy(window, target(room, Promise.resolve())).run();
    await assert.rejects(failing, new Error('the disk is full'));
    assert.equal(await other, SIZE);
    assert.deepEqual([room.used, window.used], [0, 0]);
  });

  test('give back the room where the waiting for the window is called off', async () => {
    const window = new Window({ max: 1 });
    const room = new Window({ max: 4 });
    assert.ok(window.tryAcquire(1));
    const abort = new AbortController();
    const file = target(room, Promise.resolve());
    const options = { window, chunkLength: () => 1, finish: async () => {}, signal: abort.signal };
    const copying = new ContentCopy(source(), file, options).run();
    abort.abort(new Error('enough'));
    await assert.rejects(copying, new Error('enough'));
    assert.deepEqual([room.used, window.used], [0, 1]);
  });
});
