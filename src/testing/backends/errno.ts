/** Node's error codes → SFTP status codes and words, as OpenSSH's sftp-server has them; and the words of strerror(3). */
import { SSH_FX } from '../../wire/status.js';

interface Row {
  readonly status: number;
  readonly text: string;
  /** The code of a later draft that says it more exactly (draft-ietf-secsh-filexfer-13, section 9.1). */
  readonly later?: number;
}

const { NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE, OP_UNSUPPORTED } = SSH_FX;

const rows: Readonly<Record<string, Row>> = {
  ENOENT: { status: NO_SUCH_FILE, text: 'No such file or directory' },
  ENOTDIR: { status: NO_SUCH_FILE, text: 'Not a directory', later: 19 },
  ELOOP: { status: NO_SUCH_FILE, text: 'Too many levels of symbolic links', later: 21 },
  EACCES: { status: PERMISSION_DENIED, text: 'Permission denied' },
  EPERM: { status: PERMISSION_DENIED, text: 'Operation not permitted' },
  ENOSYS: { status: OP_UNSUPPORTED, text: 'Operation unsupported' },
  ENOTSUP: { status: OP_UNSUPPORTED, text: 'Operation unsupported' },
  EOPNOTSUPP: { status: FAILURE, text: 'Operation not supported' },
  EINVAL: { status: BAD_MESSAGE, text: 'Invalid argument', later: 23 },
  ENAMETOOLONG: { status: BAD_MESSAGE, text: 'File name too long', later: 20 },
  EEXIST: { status: FAILURE, text: 'File exists', later: 11 },
  ENOTEMPTY: { status: FAILURE, text: 'Directory not empty', later: 18 },
  EISDIR: { status: FAILURE, text: 'Is a directory', later: 24 },
  EROFS: { status: FAILURE, text: 'Read-only file system', later: 12 },
  ENOSPC: { status: FAILURE, text: 'No space left on device', later: 14 },
  EDQUOT: { status: FAILURE, text: 'Disk quota exceeded', later: 15 },
  EBADF: { status: NO_SUCH_FILE, text: 'Bad file descriptor', later: 9 },
  EBADFD: { status: FAILURE, text: 'Invalid handle', later: 9 },
  EMFILE: { status: FAILURE, text: 'Too many open files' },
  EBUSY: { status: FAILURE, text: 'Device or resource busy' },
  EXDEV: { status: FAILURE, text: 'Invalid cross-device link' },
  EFBIG: { status: FAILURE, text: 'File too large' },
  EIO: { status: FAILURE, text: 'Input/output error' },
};

export function isKnownCode(code: string): boolean {
  return Object.hasOwn(rows, code);
}

/** What OpenSSH writes beside a status: no more than its name. */
const words: ReadonlyMap<number, string> = new Map([
  [SSH_FX.OK, 'Success'],
  [SSH_FX.EOF, 'End of file'],
  [NO_SUCH_FILE, 'No such file'],
  [PERMISSION_DENIED, 'Permission denied'],
  [FAILURE, 'Failure'],
  [BAD_MESSAGE, 'Bad message'],
  [SSH_FX.NO_CONNECTION, 'No connection'],
  [SSH_FX.CONNECTION_LOST, 'Connection lost'],
  [OP_UNSUPPORTED, 'Operation unsupported'],
]);

export function wordsOf(status: number): string | undefined {
  return words.get(status);
}

export function strerror(code: string): string {
  return rows[code]?.text ?? `Failure (${code})`;
}

export function statusOf(code: string): number {
  return rows[code]?.status ?? FAILURE;
}

/** The status code of a later draft, where one is more exact. */
export function laterStatusOf(code: string): number | undefined {
  return rows[code]?.later;
}

/** The code of anything that was thrown. */
export function errorCode(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : 'EIO';
}
