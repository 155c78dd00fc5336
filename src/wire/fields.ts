/** The data types of which the packet tables are made: how each is read and written. */
import { Buffer } from 'node:buffer';
import { ProtocolError } from '../errors.js';
import { type AttributeValues, readAttributes, readCount, writeAttributes } from './attributes.js';
import { ByteReader, type ByteWriter } from './bytes.js';

export interface Field<T> {
  read(reader: ByteReader): T;
  write(writer: ByteWriter, value: T): void;
}

/** The fields of a packet, in the order of the wire. */
export type Layout = Readonly<Record<string, Field<unknown>>>;

/** What a packet of that layout holds. */
export type Values<L extends Layout> = { readonly [K in keyof L]: L[K] extends Field<infer T> ? T : never };

export const uint32: Field<number> = {
  read: (reader) => reader.uint32(),
  write: (writer, value) => writer.uint32(value),
};

export const uint64: Field<number> = {
  read: (reader) => reader.uint64(),
  write: (writer, value) => writer.uint64(value),
};

/** For figures that may be 2⁶⁴ − 1, which stands for "no limit" or "unknown". */
export const bigUint64: Field<bigint> = {
  read: (reader) => reader.bigUint64(),
  write: (writer, value) => writer.bigUint64(value),
};

/** Paths, names and handles are bytes: the draft gives them no encoding. */
export const bytes: Field<Uint8Array> = {
  read: (reader) => reader.string(),
  write: (writer, value) => writer.string(value),
};

/** OpenSSH's sftp-server and the draft (section 7) limit a handle to 256 bytes. */
const MAX_HANDLE_LENGTH = 256;

export const handle: Field<Uint8Array> = {
  read: (reader) => {
    const value = reader.string();
    if (value.length > MAX_HANDLE_LENGTH) {
      throw new ProtocolError(`A handle of ${value.length} bytes: at most ${MAX_HANDLE_LENGTH} are allowed`);
    }
    return value;
  },
  write: (writer, value) => writer.string(value),
};

export const text: Field<string> = {
  read: (reader) => reader.string().toString('utf8'),
  write: (writer, value) => writer.string(encodeText(value)),
};

/** Text that servers leave out, though the draft wants it (the message of a STATUS). */
export const optionalText: Field<string> = {
  read: (reader) => (reader.remaining === 0 ? '' : text.read(reader)),
  write: text.write,
};

const CHECK_FILE = 'check-file';

/** In a reply to check-file the word stands before the algorithm, by one draft and some servers; by others not. */
export const hashAlgorithm: Field<string> = {
  read: (reader) => {
    const first = text.read(reader);
    return first === CHECK_FILE ? text.read(reader) : first;
  },
  write: (writer, value) => {
    text.write(writer, CHECK_FILE);
    text.write(writer, value);
  },
};

/** File content, in pieces so that nobody has to join them. */
export const payload: Field<readonly Buffer[]> = {
  read: (reader) => [reader.string()],
  write: (writer, value) => writer.payload(value),
};

export const attributes: Field<AttributeValues> = {
  read: (reader) => readAttributes(reader),
  write: writeAttributes,
};

/** One name of a NAME reply. The bytes are the truth, `longname` is for people. */
export interface NameEntry {
  readonly filename: Uint8Array;
  readonly longname: Uint8Array;
  readonly attributes: AttributeValues;
}

/** filename, longname and the attributes' flags: four bytes each at the least. */
const MIN_NAME_LENGTH = 12;

export const names: Field<readonly NameEntry[]> = {
  read: (reader) => {
    const count = readCount(reader, MIN_NAME_LENGTH);
    return Array.from({ length: count }, () => ({
      filename: reader.string(),
      longname: reader.string(),
      attributes: readAttributes(reader),
    }));
  },
  write: (writer, entries) => {
    writer.uint32(entries.length);
    for (const entry of entries) {
      writer.string(entry.filename);
      writer.string(entry.longname);
      writeAttributes(writer, entry.attributes);
    }
  },
};

/** The name and data pairs that end INIT and VERSION. */
export const extensionPairs: Field<ReadonlyMap<string, Uint8Array>> = {
  read: (reader) => {
    const pairs = new Map<string, Uint8Array>();
    while (reader.remaining > 0) {
      const name = text.read(reader);
      pairs.set(name, Uint8Array.from(reader.string()));
    }
    return pairs;
  },
  write: (writer, pairs) => {
    for (const [name, data] of pairs) {
      text.write(writer, name);
      writer.string(data);
    }
  },
};

/** Whatever is left of the packet. */
export const rest: Field<Uint8Array> = {
  read: (reader) => reader.take(reader.remaining),
  write: (writer, value) => writer.bytes(value),
};

/** uint32 values packed into one string, as `users-groups-by-id@openssh.com` has them. */
export const packedUint32s: Field<readonly number[]> = {
  read: (reader) => packed(reader, (inner) => inner.uint32()),
  write: (writer, values) => {
    writer.uint32(values.length * 4);
    for (const value of values) writer.uint32(value);
  },
};

/** Strings packed into one string. */
export const packedTexts: Field<readonly string[]> = {
  read: (reader) => packed(reader, (inner) => text.read(inner)),
  write: (writer, values) => {
    const encoded = values.map(encodeText);
    writer.uint32(encoded.reduce((sum, value) => sum + 4 + value.length, 0));
    for (const value of encoded) writer.string(value);
  },
};

function packed<T>(reader: ByteReader, readOne: (inner: ByteReader) => T): T[] {
  const inner = new ByteReader(reader.string());
  const values: T[] = [];
  while (inner.remaining > 0) values.push(readOne(inner));
  return values;
}

function encodeText(value: string): Buffer {
  return Buffer.from(value, 'utf8');
}
