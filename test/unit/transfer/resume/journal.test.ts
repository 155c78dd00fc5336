import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { ConnectionLostError } from '../../../../src/errors.js';
import { Journal } from '../../../../src/transfer/resume/journal.js';
import { Leftovers } from '../../../../src/transfer/resume/leftovers.js';
import { drop } from '../../../../src/transfer/resume/partial-file.js';
import { temporaryPath } from '../../../../src/transfer/resume/temporary-file.js';
import { errorWithCode, FakeFileSystem } from '../../../support/fake-file-system.js';

describe('the journal of a transfer', () => {
  test('T6: what could not be removed as the line was lost is removed in the end', async () => {
    let isLost = true;
    const fileSystem = new FakeFileSystem({
      fail: ({ kind }) => (isLost && kind === 'removeFile' ? new ConnectionLostError('lost') : undefined),
    });
    const place = { fileSystem, path: Buffer.from('/target') };
    const path = temporaryPath(place);
    fileSystem.addFile(path.toString(), 'half');
    const journal = new Journal();
    await drop(place, path, { journal });
    assert.deepEqual(fileSystem.paths, ['/', path.toString()]);
    isLost = false;
    await journal.close(fileSystem, { resumes: true });
    assert.deepEqual(fileSystem.paths, ['/']);
  });

  test('what a server makes late, for a connection that is lost, is removed in the end', async () => {
    const fileSystem = new FakeFileSystem();
    const place = { fileSystem, path: Buffer.from('/target') };
    const journal = new Journal();
    const path = temporaryPath(place);
    await drop(place, path, { journal });
    fileSystem.addFile(path.toString(), 'late');
    await journal.close(fileSystem, { resumes: false });
    assert.deepEqual(fileSystem.paths, ['/']);
  });

  test('what is later than that is known as given up, so that the next transfer removes it', async () => {
    const fileSystem = new FakeFileSystem();
    const place = { fileSystem, path: Buffer.from('/target') };
    const journal = new Journal();
    const path = temporaryPath(place);
    await drop(place, path, { journal });
    await journal.close(fileSystem, { resumes: false });
    fileSystem.addFile(path.toString(), 'later');
    await new Leftovers().tidy({ ...place, path: Buffer.from('/') }, {});
    assert.deepEqual(fileSystem.paths, ['/']);
  });

  test('what cannot be removed at all is not tried again', async () => {
    const fileSystem = new FakeFileSystem({ fail: () => errorWithCode('EACCES') });
    const place = { fileSystem, path: Buffer.from('/target') };
    const journal = new Journal();
    await drop(place, temporaryPath(place), { journal });
    await journal.close(fileSystem, { resumes: false });
    assert.equal(fileSystem.stepsOf('removeFile').length, 1);
  });

  test('forgets the oldest beginnings beyond ten thousand, and leaves them to the next transfer', async () => {
    const fileSystem = new FakeFileSystem();
    const journal = new Journal();
    const place = (index: number) => ({ fileSystem, path: Buffer.from(`/target ${index}`) });
    const paths = Array.from({ length: 10_001 }, (_, index) => temporaryPath(place(index)));
    for (const [index, path] of paths.entries()) {
      journal.notePartial(place(index), { path, bytes: 1, source: 'a1b2c3d4e5f6' });
    }
    assert.deepEqual([journal.hasPartial(place(0)), journal.hasPartial(place(1))], [false, true]);
    fileSystem.addFile(paths[0]?.toString() ?? '', 'x');
    await new Leftovers().tidy({ fileSystem, path: Buffer.from('/') }, {});
    assert.deepEqual(fileSystem.paths, ['/']);
  });

  test('knows what is done by the source that it was copied from last', () => {
    const fileSystem = new FakeFileSystem();
    const [one, other] = ['/one', '/other'].map((path) => ({ fileSystem, path: Buffer.from(path) }));
    assert(one && other);
    const journal = new Journal();
    journal.noteDone(one, 'a1b2c3d4e5f6');
    assert.deepEqual(
      [journal.isDone(one, 'a1b2c3d4e5f6'), journal.isDone(other, 'a1b2c3d4e5f6')],
      [true, false],
    );
    assert.equal(journal.takeAdvance(), true);
    journal.noteDone(one, 'b1b2c3d4e5f6');
    assert.deepEqual(
      [journal.isDone(one, 'a1b2c3d4e5f6'), journal.isDone(one, 'b1b2c3d4e5f6')],
      [false, true],
    );
  });
});
