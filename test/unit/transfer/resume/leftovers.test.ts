import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { Leftovers } from '../../../../src/transfer/resume/leftovers.js';
import {
  isBeingWritten,
  leaveTemporary,
  readTemporaryName,
  restingPath,
  sourceMark,
  temporaryPath,
} from '../../../../src/transfer/resume/temporary-file.js';
import { FakeFileSystem, type Step } from '../../../support/fake-file-system.js';

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

type Place = ReturnType<typeof target>;

/** Where the fields of the writer begin: place, number, start, run. */
const PLACE = '.tsftp-'.length + 3 * 13;
const NUMBER = PLACE + 12;

/** A path with some of the digits of its name in place of what they are. */
function withDigits(path: Buffer, at: number, digits: string): string {
  const name = nameOf(path).toString();
  return `/d/${name.slice(0, at)}${digits}${name.slice(at + digits.length)}`;
}

/** A temporary name of this machine whose thread is gone. */
function deadName(place: Place, source?: string, owner?: string): string {
  const number = (2 ** 22 + 1).toString(16).padStart(8, '0');
  return withDigits(temporaryPath(place, source, owner), NUMBER, number);
}

/** One that was written elsewhere. */
function foreignName(place: Place, source?: string, owner?: string): string {
  return withDigits(temporaryPath(place, source, owner), PLACE, 'ffffffffffff');
}

describe('temporary names', () => {
  test('tell the target, the source and the writer', () => {
    const place = target();
    const told = readTemporaryName(nameOf(temporaryPath(place, SOURCE)));
    assert.equal(told?.source, SOURCE);
    assert.equal(told?.owner, undefined);
    assert.match(
      readTemporaryName(nameOf(temporaryPath(place, SOURCE, 'job 1')))?.owner ?? '',
      /^[0-9a-f]{12}$/,
    );
    if (process.platform === 'linux') assert.equal(told?.writer?.number, process.pid);
    const resting = readTemporaryName(nameOf(restingPath(place, SOURCE)));
    assert.deepEqual(resting, { target: told?.target, source: SOURCE, owner: undefined, writer: undefined });
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

  test('X10: a writer is known to be gone when its thread is, or when this one has left the name', () => {
    const place = target();
    const path = temporaryPath(place);
    const isWritten = (text: string) => {
      const name = nameOf(Buffer.from(text));
      return isBeingWritten(name, readTemporaryName(name)?.writer ?? assert.fail());
    };
    assert.equal(isWritten(path.toString()), true);
    leaveTemporary(place, path);
    assert.equal(isWritten(path.toString()), false);
    assert.equal(isWritten(deadName(place)), false);
    assert.equal(isWritten(foreignName(place)), undefined, 'in another PID namespace, or of another start');
    const init = withDigits(temporaryPath(place), NUMBER, '00000001');
    assert.equal(isWritten(init), false, 'process 1 has not begun when we have');
  });
});

function scene(gate?: (step: Step) => Promise<unknown>) {
  const fileSystem = new FakeFileSystem({ ...(gate && { gate }) }).addDirectory('/d');
  const place = target(fileSystem);
  const directory = { fileSystem, path: Buffer.from('/d') };
  const add = (path: string, ageS = 0, more: { uid?: number; mode?: number; content?: string } = {}) => {
    const { content = 'content', ...rest } = more;
    fileSystem.addFile(path, content, { mtime: NOW - ageS, ...rest });
    return path;
  };
  const left = () => fileSystem.paths.filter((path) => path.includes('.tsftp-'));
  return { fileSystem, place, directory, add, left, leftovers: new Leftovers({ secondLookMs: 1 }) };
}

describe('Leftovers', () => {
  test('X10: removes what dead programs have left, and nothing that somebody may still write or resume', async () => {
    const { place, directory, add, left, leftovers } = scene();
    const kept = [
      add(temporaryPath(place).toString()),
      add(restingPath(place, SOURCE).toString()),
      add(foreignName(place), DAY - 60),
      add(deadName(place, SOURCE, 'job')),
    ];
    add(deadName(place));
    add('/d/mine.part');
    await leftovers.tidy(directory, {});
    assert.deepEqual(left(), kept.sort());
  });

  test('removes what is too old to be of use', async () => {
    const { place, directory, add, left, leftovers } = scene();
    add(foreignName(place), 2 * DAY);
    add(restingPath(place, SOURCE).toString(), 8 * DAY);
    add(deadName(place, SOURCE, 'job'), 8 * DAY);
    await leftovers.tidy(directory, {});
    assert.deepEqual(left(), []);
  });

  test('X10: what looks old only because it has got its time is not removed', async () => {
    let path = '';
    const { place, directory, add, left, leftovers } = scene(async ({ kind }) => {
      // It grows after it was listed.
      if (kind === 'newFile') add(path, 2 * DAY, { content: 'content, and more' });
    });
    path = add(foreignName(place), 2 * DAY);
    await leftovers.tidy(directory, {});
    assert.deepEqual(left(), [path]);
  });

  test('X3: removes nothing that is not ours, and tells nothing of it', async () => {
    const { place, directory, add, left, leftovers } = scene();
    const other = sourceMark(Buffer.from('/other'), info);
    const planted = [
      add(deadName(place, SOURCE), 0, { uid: 1000 }),
      add(deadName(place, other), 8 * DAY, { uid: 1000 }),
      add(deadName(place, SOURCE), 0, { mode: 0o666 }),
    ];
    await leftovers.tidy(directory, {});
    assert.deepEqual(await leftovers.find(place, SOURCE, {}), []);
    assert.deepEqual(left(), planted.sort());
  });

  test('tells what belongs to a target and a source once, and removes what is of another source', async () => {
    const { place, add, left, leftovers } = scene();
    const other = sourceMark(Buffer.from('/other'), info);
    const same = add(deadName(place, SOURCE));
    add(deadName(place, other));
    const elsewhere = add(deadName({ ...place, path: Buffer.from('/d/elsewhere') }, SOURCE));
    assert.deepEqual((await leftovers.find(place, SOURCE, {})).map(String), [same]);
    assert.deepEqual(await leftovers.find(place, SOURCE, {}), []);
    assert.deepEqual(left(), [same, elsewhere].sort());
  });

  test('X10: tells what is out of sight to whoever has its name, and to others once it is silent', async () => {
    const { place, add, leftovers } = scene();
    const mine = add(foreignName(place, SOURCE, 'job 1'));
    add(foreignName(place, SOURCE, 'job 2'));
    add(foreignName(place, SOURCE));
    const silent = add(foreignName(place, SOURCE), 2 * 60 * 60);
    add(temporaryPath(place, SOURCE, 'job 1').toString());
    assert.deepEqual((await leftovers.find(place, SOURCE, {})).map(String), [silent]);
    assert.deepEqual((await leftovers.find(place, SOURCE, { owner: 'job 1' })).map(String), [mine]);
  });

  test('looks at a directory once', async () => {
    const { fileSystem, place, directory, leftovers } = scene();
    for (let turn = 0; turn < 3; turn += 1) await leftovers.tidy(directory, {});
    assert.equal(fileSystem.stepsOf('list').length, 1);
    leftovers.forget(place);
    await leftovers.tidy(directory, {});
    assert.equal(fileSystem.stepsOf('list').length, 2);
    assert.equal(fileSystem.stepsOf('newFile').length, 0);
  });
});

test('L10: content of another source for the same target goes, that of the same source stays', async () => {
  const { place, add, left, leftovers } = scene();
  const other = sourceMark(Buffer.from('/source'), { ...info, size: 8 });
  const same = add(restingPath(place, SOURCE).toString());
  const elsewhere = add(restingPath({ ...place, path: Buffer.from('/d/elsewhere') }, other).toString());
  add(restingPath(place, other).toString());
  assert.deepEqual(await leftovers.find(place, SOURCE, {}), []);
  assert.deepEqual(left(), [same, elsewhere].sort());
});
