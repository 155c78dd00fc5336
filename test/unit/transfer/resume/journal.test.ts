import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { ConnectionLostError } from '../../../../src/errors.js';
import { drop, Journal } from '../../../../src/transfer/resume/journal.js';
import { Leftovers } from '../../../../src/transfer/resume/leftovers.js';
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
});
