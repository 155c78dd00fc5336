/** The listing of a directory of a server while it is worked on, in little memory. */
import { Buffer } from 'node:buffer';
import { SftpError } from '../../errors.js';
import type { EntrySink } from '../../session/directory-reader.js';
import { quote } from '../../shared/remote-path.js';
import { typeFrom } from '../../wire/attributes.js';
import type { NameEntry } from '../../wire/fields.js';
import { PackedEntries, type PackedEntry } from '../../wire/packed-entries.js';
import type { DirectoryEntry } from '../file-system.js';

/** What all listings of a connection that are worked on at the time may take. */
const MAX_BYTES = 96 * 1024 * 1024;

export class PackedListing {
  readonly #path: Buffer;
  readonly #total: { bytes: number };
  #entries = new PackedEntries();
  #bytes = 0;

  /** @param total what all of them take */
  constructor(path: Buffer, total: { bytes: number }) {
    this.#path = path;
    this.#total = total;
  }

  /** For every attempt of the listing: what the last one has given counts. */
  readonly begin = (): EntrySink => {
    this.end();
    this.#entries = new PackedEntries();
    return (listed) => {
      const entry = packable(listed);
      const bytes = PackedEntries.lengthOf(entry);
      this.#entries.add(entry);
      this.#bytes += bytes;
      this.#total.bytes += bytes;
      if (this.#total.bytes > MAX_BYTES) throw tooLarge(this.#path);
      return bytes;
    };
  };

  drain(): Generator<readonly DirectoryEntry[], void, undefined> {
    return this.#entries.drain(directoryEntry);
  }

  /** It takes no memory any more. */
  end(): void {
    this.#total.bytes -= this.#bytes;
    this.#bytes = 0;
  }
}

/** Without what nobody copies. */
function packable({ filename, longname, attributes }: NameEntry): PackedEntry {
  const { size, mode, atime, mtime } = attributes;
  const type = typeFrom(mode, Buffer.from(longname.subarray(0, 10)).toString('latin1'));
  const permissions = mode === undefined ? undefined : mode & 0o7777;
  return { name: filename as Buffer, type, attributes: { size, mode: permissions, atime, mtime } };
}

function directoryEntry({ name, type, attributes }: PackedEntry): DirectoryEntry {
  const { size, mode, atime, mtime } = attributes;
  return { name: Buffer.from(name), info: { type, size, mode, atime, mtime } };
}

function tooLarge(path: Buffer): SftpError {
  const advice = 'with a smaller concurrency fewer directories are listed at once';
  const text = `The listing of ${quote(path)} was stopped: the directories being listed have more than ${MAX_BYTES / 1024 / 1024} MiB of names; ${advice}`;
  return new SftpError('LIMIT', text);
}
