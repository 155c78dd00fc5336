/**
 * Status codes (section 7 of the draft; 9 to 31 come from later drafts, and servers send them in version 3
 * too) with the name that Node gives to the same trouble.
 */
interface StatusRow {
  readonly name: string;
  /** As in Node's `error.code`. */
  readonly code: string;
  readonly meaning: string;
}

export const SSH_FX = {
  OK: 0,
  EOF: 1,
  NO_SUCH_FILE: 2,
  PERMISSION_DENIED: 3,
  FAILURE: 4,
  BAD_MESSAGE: 5,
  NO_CONNECTION: 6,
  CONNECTION_LOST: 7,
  OP_UNSUPPORTED: 8,
} as const;

const rows: readonly StatusRow[] = [
  { name: 'SSH_FX_OK', code: 'OK', meaning: 'success' },
  { name: 'SSH_FX_EOF', code: 'EOF', meaning: 'end of file' },
  { name: 'SSH_FX_NO_SUCH_FILE', code: 'ENOENT', meaning: 'no such file or directory' },
  { name: 'SSH_FX_PERMISSION_DENIED', code: 'EACCES', meaning: 'permission denied' },
  { name: 'SSH_FX_FAILURE', code: 'FAILURE', meaning: 'the server failed' },
  { name: 'SSH_FX_BAD_MESSAGE', code: 'EINVAL', meaning: 'the server does not accept the request' },
  { name: 'SSH_FX_NO_CONNECTION', code: 'ENOTCONN', meaning: 'the server has no connection' },
  { name: 'SSH_FX_CONNECTION_LOST', code: 'ECONNRESET', meaning: 'the server lost its connection' },
  { name: 'SSH_FX_OP_UNSUPPORTED', code: 'ENOTSUP', meaning: 'the server does not support this' },
  { name: 'SSH_FX_INVALID_HANDLE', code: 'EBADF', meaning: 'invalid handle' },
  { name: 'SSH_FX_NO_SUCH_PATH', code: 'ENOENT', meaning: 'no such path' },
  { name: 'SSH_FX_FILE_ALREADY_EXISTS', code: 'EEXIST', meaning: 'the file exists already' },
  { name: 'SSH_FX_WRITE_PROTECT', code: 'EROFS', meaning: 'read-only file system' },
  { name: 'SSH_FX_NO_MEDIA', code: 'ENODEV', meaning: 'no medium in the drive' },
  { name: 'SSH_FX_NO_SPACE_ON_FILESYSTEM', code: 'ENOSPC', meaning: 'no space left on the device' },
  { name: 'SSH_FX_QUOTA_EXCEEDED', code: 'EDQUOT', meaning: 'quota exceeded' },
  { name: 'SSH_FX_UNKNOWN_PRINCIPAL', code: 'EINVAL', meaning: 'unknown user or group' },
  { name: 'SSH_FX_LOCK_CONFLICT', code: 'EBUSY', meaning: 'locked by another process' },
  { name: 'SSH_FX_DIR_NOT_EMPTY', code: 'ENOTEMPTY', meaning: 'directory not empty' },
  { name: 'SSH_FX_NOT_A_DIRECTORY', code: 'ENOTDIR', meaning: 'not a directory' },
  { name: 'SSH_FX_INVALID_FILENAME', code: 'EINVAL', meaning: 'invalid file name' },
  { name: 'SSH_FX_LINK_LOOP', code: 'ELOOP', meaning: 'too many symbolic links' },
  { name: 'SSH_FX_CANNOT_DELETE', code: 'EPERM', meaning: 'cannot be deleted' },
  { name: 'SSH_FX_INVALID_PARAMETER', code: 'EINVAL', meaning: 'invalid parameter' },
  { name: 'SSH_FX_FILE_IS_A_DIRECTORY', code: 'EISDIR', meaning: 'is a directory' },
  { name: 'SSH_FX_BYTE_RANGE_LOCK_CONFLICT', code: 'EBUSY', meaning: 'range locked by another process' },
  { name: 'SSH_FX_BYTE_RANGE_LOCK_REFUSED', code: 'EBUSY', meaning: 'range lock refused' },
  { name: 'SSH_FX_DELETE_PENDING', code: 'EBUSY', meaning: 'being deleted' },
  { name: 'SSH_FX_FILE_CORRUPT', code: 'EIO', meaning: 'the file is corrupt' },
  { name: 'SSH_FX_OWNER_INVALID', code: 'EINVAL', meaning: 'invalid owner' },
  { name: 'SSH_FX_GROUP_INVALID', code: 'EINVAL', meaning: 'invalid group' },
  { name: 'SSH_FX_NO_MATCHING_BYTE_RANGE_LOCK', code: 'EINVAL', meaning: 'no such range lock' },
];

/** What servers write where the code alone says "failure": the words of `strerror`. */
const messages: readonly (readonly [pattern: RegExp, code: string])[] = [
  [/no space left/i, 'ENOSPC'],
  [/quota exceeded/i, 'EDQUOT'],
  [/file (already )?exists/i, 'EEXIST'],
  [/not empty/i, 'ENOTEMPTY'],
  [/not a directory/i, 'ENOTDIR'],
  [/is a directory/i, 'EISDIR'],
  [/read-only file system/i, 'EROFS'],
  [/too many open files/i, 'EMFILE'],
  [/no such file/i, 'ENOENT'],
  [/permission denied/i, 'EACCES'],
];

/** What a status means; a code that no draft knows counts as a failure. */
export function describeStatus(status: number, message: string): StatusRow {
  const row = rows[status] ?? { name: `SSH_FX_${status}`, code: 'FAILURE', meaning: 'the server failed' };
  if (row.code !== 'FAILURE') return row;
  const said = messages.find(([pattern]) => pattern.test(message));
  if (said === undefined) return row;
  const [, code] = said;
  const meaning = rows.find((other) => other.code === code)?.meaning ?? 'too many open files';
  return { ...row, code, meaning };
}
