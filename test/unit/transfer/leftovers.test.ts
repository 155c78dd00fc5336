import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { Leftovers } from '../../../src/transfer/leftovers.js';
import {
  isAbandoned,
  readTemporaryName,
  releaseTemporary,
  restingPath,
  sourceMark,
  temporaryPath,
} from '../../../src/transfer/temporary-file.js';
import { FakeFileSystem } from '../../support/fake-file-system.js';

const info = { type: 'file', size: 7, mode: 0o644, atime: 1, mtime: 1.5 } as const;
const SOURCE = sourceMark(Buffer.from('/source'), info);
const NOW = Date.now() / 1000;
const DAY = 24 * 60 * 60;

function target(fileSystem = new FakeFileSystem()) {
  return { fileSystem, path: Buffer.from('/d/target') };
}

function nameOf(path: Buffer): Buffer {
  return path.subarray(path.lastIndexOf('/') + 1);
}

/** A temporary name of this machine whose process is gone. */
function deadName(path: Buffer): string {
  const pid = (2 ** 22 + 1).toString(16).padStart(8, '0');
  return path.toString().replace(/^(.{3}.{7}.{12}.{1}.{12}.{8}).{8}/s, `$1${pid}`);
}

describe('temporary names', () => {
  test('tell the target, the source and the writer', () => {
    const place = target();
    const told = readTemporaryName(nameOf(temporaryPath(place, SOURCE)));
    assert.equal(told?.source, SOURCE);
    assert.equal(told?.writer?.process, process.pid);
    const resting = readTemporaryName(nameOf(restingPath(place, SOURCE)));
    assert.deepEqual(resting, { target: told?.target, source: SOURCE, writer: undefined });
    for (const name of ['.tsftp-x.part', 'target', '.tsftp-0123456789ab-0123456789ab.part.old', '']) {
      assert.equal(readTemporaryName(Buffer.from(name)), undefined, name);
    }
  });

  test('a source is known by its path, its size and its time', () => {
    const marks = [
      sourceMark(Buffer.from('/source'), info),
      sourceMark(Buffer.from('/other'), info),
      sourceMark(Buffer.from('/source'), { ...info, size: 8 }),
      sourceMark(Buffer.from('/source'), { ...info, mtime: 1.6 }),
    ];
    assert.equal(new Set(marks).size, 4);
    assert.equal(sourceMark(Buffer.from('/source'), { ...info, mtime: undefined }), '0'.repeat(12));
  });

  test('a writer is gone when its process is, or when this one has released the name', () => {
    const place = target();
    const path = temporaryPath(place);
    const name = nameOf(path);
    const { writer } = readTemporaryName(name) ?? assert.fail();
    assert.ok(writer);
    assert.equal(isAbandoned(name, writer), false);
    releaseTemporary(place, path);
    assert.equal(isAbandoned(name, writer), true);
    assert.equal(isAbandoned(name, { ...writer, process: 1 }), false);
    assert.equal(isAbandoned(name, { ...writer, process: 2 ** 22 + 1 }), true);
    assert.equal(isAbandoned(name, { ...writer, process: 2 ** 22 + 1, machine: 'elsewhere' }), false);
    assert.equal(isAbandoned(name, { ...writer, run: 'another' }), false, 'a thread of this process');
  });
});

describe('Leftovers', () => {
  test('removes what dead programs have left, and nothing that somebody may still write or resume', async () => {
    const fileSystem = new FakeFileSystem().addDirectory('/d');
    const place = target(fileSystem);
    const live = temporaryPath(place).toString();
    const dead = deadName(temporaryPath(place));
    const resting = restingPath(place, SOURCE).toString();
    const foreign = live.replace(/^(.{35}).{8}/s, '$1ffffffff');
    for (const path of [live, dead, resting, foreign]) fileSystem.addFile(path, 'x', { mtime: NOW });
    fileSystem.addFile('/d/mine.part', 'x');
    await new Leftovers(fileSystem).tidy(Buffer.from('/d'), {});
    assert.deepEqual(fileSystem.paths, ['/', '/d', '/d/mine.part', live, resting, foreign].sort());
  });

  test('removes what is too old to be of use', async () => {
    const fileSystem = new FakeFileSystem().addDirectory('/d');
    const place = target(fileSystem);
    const foreign = temporaryPath(place)
      .toString()
      .replace(/^(.{35}).{8}/s, '$1ffffffff');
    fileSystem.addFile(foreign, 'x', { mtime: NOW - 2 * DAY });
    fileSystem.addFile(restingPath(place, SOURCE).toString(), 'x', { mtime: NOW - 8 * DAY });
    await new Leftovers(fileSystem).tidy(Buffer.from('/d'), {});
    assert.deepEqual(fileSystem.paths, ['/', '/d']);
  });

  test('gives what belongs to a target and a source once, and removes what is of another source', async () => {
    const fileSystem = new FakeFileSystem().addDirectory('/d');
    const place = target(fileSystem);
    const same = deadName(temporaryPath(place, SOURCE));
    const other = deadName(temporaryPath(place, sourceMark(Buffer.from('/other'), info)));
    const elsewhere = deadName(temporaryPath({ ...place, path: Buffer.from('/d/elsewhere') }, SOURCE));
    for (const path of [same, other, elsewhere]) fileSystem.addFile(path, 'content', { mtime: NOW });
    const leftovers = new Leftovers(fileSystem);
    const taken = await leftovers.take(place, SOURCE, {});
    assert.deepEqual([taken?.path.toString(), taken?.size], [same, 7]);
    assert.equal(await leftovers.take(place, SOURCE, {}), undefined);
    assert.deepEqual(fileSystem.paths, ['/', '/d', same, elsewhere].sort());
  });

  test('looks at a directory once', async () => {
    const fileSystem = new FakeFileSystem().addDirectory('/d');
    const leftovers = new Leftovers(fileSystem);
    for (let turn = 0; turn < 3; turn += 1) await leftovers.tidy(Buffer.from('/d'), {});
    assert.equal(fileSystem.stepsOf('list').length, 1);
    leftovers.forget(target(fileSystem));
    await leftovers.tidy(Buffer.from('/d'), {});
    assert.equal(fileSystem.stepsOf('list').length, 2);
  });
});

test('L10: content of another source for the same target goes, that of the same source stays', async () => {
  const fileSystem = new FakeFileSystem().addDirectory('/d');
  const place = target(fileSystem);
  const other = sourceMark(Buffer.from('/source'), { ...info, size: 8 });
  const same = restingPath(place, SOURCE).toString();
  const elsewhere = restingPath({ ...place, path: Buffer.from('/d/elsewhere') }, other).toString();
  const stale = restingPath(place, other).toString();
  for (const path of [same, stale, elsewhere]) fileSystem.addFile(path, 'x', { mtime: NOW });
  assert.equal(await new Leftovers(fileSystem).take(place, SOURCE, {}), undefined);
  assert.deepEqual(
    fileSystem.paths.filter((path) => path.includes('.tsftp-')),
    [same, elsewhere].sort(),
  );
});
