import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { openFile } from '../../../../src/connection/files/file-opening.js';
import { parseOpenMode } from '../../../../src/connection/files/open-mode.js';
import { OPEN_AS } from '../../../../src/session/quirks/open-flags.js';
import type { SftpClient } from '../../../../src/session/sftp-client.js';
import { failure } from '../../../../src/session/status-error.js';
import { FileAttributes } from '../../../../src/wire/attributes.js';

const PATH = Buffer.from('/log');
const handle = { bytes: Buffer.from('1'), path: PATH };
const missing = () => failure('ENOENT', 'open', PATH, 'No such file');
const exists = () => failure('EEXIST', 'open', PATH, 'Failure');
const file = () => new FileAttributes({ size: 3, mode: 0o100644 });

interface Answers {
  /** Of the STATs and of the OPENs, each at its turn; the last one for all that follow. */
  readonly stat: readonly (() => unknown)[];
  readonly open: readonly (() => unknown)[];
}

/** Answers as it is told, and notes the flags with which a file is opened. */
function clientWith({ stat, open }: Answers) {
  const flags: number[] = [];
  const turns = { stat: 0, open: 0 };
  const next = async (answers: Answers['open'], turn: number) => {
    const answer = answers[Math.min(turn, answers.length - 1)]?.();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const look = () => next(stat, turns.stat++);
  const client = {
    extensions: ['posix-rename@openssh.com'],
    worksInOrder: true,
    stat: look,
    lstat: look,
    fstat: async () => file(),
    readlink: async () => Promise.reject(missing()),
    close: async () => {},
    open: (_: Buffer, how: number) => {
      flags.push(how);
      return next(open, turns.open++);
    },
  };
  return { client: client as unknown as SftpClient, flags };
}

const append = (client: SftpClient) => openFile(client, PATH, parseOpenMode('a'), { attributes: {} });

describe('opening a file to append to it', () => {
  test('a file that somebody makes just then is opened with APPEND too', async () => {
    const { client, flags } = clientWith({
      stat: [missing, file],
      open: [missing, exists, exists, () => handle],
    });
    assert.deepEqual(await append(client), { handle, end: 3 });
    const { appendExisting, appendCreated, created } = OPEN_AS;
    assert.deepEqual(flags, [appendExisting, appendCreated, created, appendExisting]);
  });

  test('a server that shows and hides it without end is asked ten times', async () => {
    let looks = 0;
    const { client, flags } = clientWith({
      stat: [() => (looks++ % 2 === 0 ? missing() : file())],
      open: [missing],
    });
    await assert.rejects(append(client), {
      code: 'ENOENT',
      message: /it appeared and disappeared 10 times while it was being opened/,
    });
    assert.equal(flags.length, 30);
  });
});
