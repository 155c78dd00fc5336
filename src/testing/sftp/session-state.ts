/** What the handlers of requests know of their session. */
import type { Backend } from '../backends/backend.js';
import { systemError } from '../backends/backend.js';
import type { HandleTable } from './handles.js';

export interface SessionState {
  readonly backend: Backend;
  readonly handles: HandleTable;
  /** Where relative paths begin. */
  readonly home: string;
  readonly username: string;
  /** The names of the extensions that are offered. */
  readonly extensions: readonly string[];
  readonly maxHandles: number;
}

/** What fits beside the header into a packet of 256 KiB; OpenSSH's sftp-server tells the same. */
export const MAX_READ_LENGTH = 255 * 1024;
const SLASH = 0x2f;

/** Relative paths begin at the user's start directory. */
export function absolute(home: string, path: Uint8Array): Buffer {
  if (path.length === 0) throw systemError('ENOENT');
  if (path[0] === SLASH) return Buffer.from(path);
  return Buffer.concat([Buffer.from(home.endsWith('/') ? home : `${home}/`), path]);
}
