import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describeStatus, SSH_FX } from '../../../src/wire/status.js';

/** Section 7 of draft-ietf-secsh-filexfer-02. */
const VERSION_3: readonly (readonly [status: number, name: string, code: string])[] = [
  [0, 'SSH_FX_OK', 'OK'],
  [1, 'SSH_FX_EOF', 'EOF'],
  [2, 'SSH_FX_NO_SUCH_FILE', 'ENOENT'],
  [3, 'SSH_FX_PERMISSION_DENIED', 'EACCES'],
  [4, 'SSH_FX_FAILURE', 'FAILURE'],
  [5, 'SSH_FX_BAD_MESSAGE', 'EINVAL'],
  [6, 'SSH_FX_NO_CONNECTION', 'ENOTCONN'],
  [7, 'SSH_FX_CONNECTION_LOST', 'ECONNRESET'],
  [8, 'SSH_FX_OP_UNSUPPORTED', 'ENOTSUP'],
];

/** Section 9.1 of draft-ietf-secsh-filexfer-13; servers send these in version 3 too. */
const LATER: readonly (readonly [status: number, name: string, code: string])[] = [
  [9, 'SSH_FX_INVALID_HANDLE', 'EBADF'],
  [10, 'SSH_FX_NO_SUCH_PATH', 'ENOENT'],
  [11, 'SSH_FX_FILE_ALREADY_EXISTS', 'EEXIST'],
  [12, 'SSH_FX_WRITE_PROTECT', 'EROFS'],
  [13, 'SSH_FX_NO_MEDIA', 'ENODEV'],
  [14, 'SSH_FX_NO_SPACE_ON_FILESYSTEM', 'ENOSPC'],
  [15, 'SSH_FX_QUOTA_EXCEEDED', 'EDQUOT'],
  [16, 'SSH_FX_UNKNOWN_PRINCIPAL', 'EINVAL'],
  [17, 'SSH_FX_LOCK_CONFLICT', 'EBUSY'],
  [18, 'SSH_FX_DIR_NOT_EMPTY', 'ENOTEMPTY'],
  [19, 'SSH_FX_NOT_A_DIRECTORY', 'ENOTDIR'],
  [20, 'SSH_FX_INVALID_FILENAME', 'EINVAL'],
  [21, 'SSH_FX_LINK_LOOP', 'ELOOP'],
  [22, 'SSH_FX_CANNOT_DELETE', 'EPERM'],
  [23, 'SSH_FX_INVALID_PARAMETER', 'EINVAL'],
  [24, 'SSH_FX_FILE_IS_A_DIRECTORY', 'EISDIR'],
  [25, 'SSH_FX_BYTE_RANGE_LOCK_CONFLICT', 'EBUSY'],
  [26, 'SSH_FX_BYTE_RANGE_LOCK_REFUSED', 'EBUSY'],
  [27, 'SSH_FX_DELETE_PENDING', 'EBUSY'],
  [28, 'SSH_FX_FILE_CORRUPT', 'EIO'],
  [29, 'SSH_FX_OWNER_INVALID', 'EINVAL'],
  [30, 'SSH_FX_GROUP_INVALID', 'EINVAL'],
  [31, 'SSH_FX_NO_MATCHING_BYTE_RANGE_LOCK', 'EINVAL'],
];

describe('status codes', () => {
  for (const [status, name, code] of [...VERSION_3, ...LATER]) {
    test(`${status} is ${name} and ${code}`, () => {
      const row = describeStatus(status, '');
      assert.deepEqual([row.name, row.code], [name, code]);
      assert.notEqual(row.meaning, '');
    });
  }

  test('of version 3 have constants', () => {
    const constants = Object.entries(SSH_FX).map(([name, status]) => [status, `SSH_FX_${name}`]);
    assert.deepEqual(
      constants,
      VERSION_3.map(([status, name]) => [status, name]),
    );
  });

  for (const status of [32, 1000, 2 ** 32 - 1]) {
    test(`${status} is an unknown failure`, () => {
      assert.deepEqual(describeStatus(status, ''), {
        name: `SSH_FX_${status}`,
        code: 'FAILURE',
        meaning: 'the server failed',
      });
    });
  }
});

describe("the server's words", () => {
  const SAID: readonly (readonly [message: string, code: string])[] = [
    ['No space left on device', 'ENOSPC'],
    ['write: no space left on device (28)', 'ENOSPC'],
    ['Disk quota exceeded', 'EDQUOT'],
    ['File exists', 'EEXIST'],
    ['The file already exists.', 'EEXIST'],
    ['Directory not empty', 'ENOTEMPTY'],
    ['Not a directory', 'ENOTDIR'],
    ['Is a directory', 'EISDIR'],
    ['Read-only file system', 'EROFS'],
    ['Too many open files', 'EMFILE'],
    ['No such file or directory', 'ENOENT'],
    ['Permission denied', 'EACCES'],
    ['Failure', 'FAILURE'],
    ['', 'FAILURE'],
  ];
  for (const [message, code] of SAID) {
    test(`make ${code} of a failure that says '${message}'`, () => {
      assert.equal(describeStatus(SSH_FX.FAILURE, message).code, code);
      assert.equal(describeStatus(SSH_FX.FAILURE, message).name, 'SSH_FX_FAILURE');
      assert.equal(describeStatus(99, message).code, code);
    });
  }

  test('change nothing where the code is clear', () => {
    assert.equal(describeStatus(SSH_FX.PERMISSION_DENIED, 'No space left on device').code, 'EACCES');
    assert.equal(describeStatus(SSH_FX.EOF, 'File exists').code, 'EOF');
    assert.equal(describeStatus(SSH_FX.OK, 'Permission denied').code, 'OK');
  });
});
