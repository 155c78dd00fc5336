/**
 * How files are opened: by the combinations that Node's `fs.open` has names for. Some servers know no others (those
 * that use ssh2's `flagsToString`), and refuse them or end; OpenSSH's client, too, sends hardly any others.
 */
import { SSH_FXF } from '../../wire/packets.js';

const { READ, WRITE, APPEND, CREAT, TRUNC, EXCL } = SSH_FXF;

export const OPEN_AS = {
  read: READ,
  /** What is there, and it stays. */
  readWrite: READ | WRITE,
  /** A new file, or the existing one, emptied. */
  empty: WRITE | CREAT | TRUNC,
  /** A new file; whatever is there is an error. TRUNC changes nothing then, but is part of the combination. */
  created: WRITE | CREAT | TRUNC | EXCL,
  /** A new file, as above; every write goes to its end. */
  appendCreated: WRITE | CREAT | APPEND | EXCL,
  /** These have no name: what is there, and every write goes to its end, … */
  appendExisting: WRITE | APPEND,
  /** … only where a file may be written and not be read, … */
  writeOnly: WRITE,
  /** … and to make the file that a dangling symlink leads to. */
  throughLink: WRITE | CREAT,
} as const;
