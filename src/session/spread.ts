/**
 * Sessions over further connections to the same server, for one transfer. TCP holds back a connection for every packet that
 * is lost; several connections are held back one by one.
 */
import type { SftpClient } from './sftp-client.js';

export interface Spread {
  /** Those that are open at present, without that of the first connection. */
  readonly clients: readonly SftpClient[];
  /** How many connections there are to be, the first among them. */
  readonly width: number;
}

/** From here on a file goes through all of them; a smaller one goes through the one that has the least to do. */
export const SPREAD_LENGTH = 1024 * 1024;
