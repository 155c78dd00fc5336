/** A directory as a whole, with as few round trips as it takes, and in bounded memory. */
import { Buffer, isUtf8 } from 'node:buffer';
import { SftpError, SftpStatusError } from '../errors.js';
import { untilAborted } from '../shared/abort.js';
import { quote, type RemotePath } from '../shared/remote-path.js';
import { FileAttributes, typeFrom } from '../wire/attributes.js';
import type { NameEntry } from '../wire/fields.js';
import { PackedEntries, type PackedEntry } from '../wire/packed-entries.js';
import { anew } from './quirks/repeated-handle.js';
import type { OperationOptions, RemoteHandle, SftpClient } from './sftp-client.js';

/** More is taken for a listing without end. */
const MAX_ENTRIES = 1_000_000;
/** What the entries of one listing may take in memory: a million with names of 40 bytes fit. */
const MAX_LISTING_BYTES = 168 * 1024 * 1024;
/** What the names alone may have, as they are sent. */
const MAX_NAME_BYTES = 64 * 1024 * 1024;
/** What of that the long names and extended data may take: nobody misses them in longer listings. */
const MAX_DETAIL_BYTES = 4 * 1024 * 1024;
/** Attributes as an object in a list, without their texts, and what more some have. */
const ATTRIBUTES_BYTES = 96;
const DETAIL_BYTES = 80;
/** The server gives some hundred names at a time: this many requests are in flight in a large directory. */
const MAX_REQUESTS = 16;
/** And fewer where it gives more: names that wait for their turn outlive the young generation, and pile up as garbage. */
const MAX_WAITING_ENTRIES = 2000;
/** A small directory is complete with the second answer, which says that this was all. */
const FIRST_REQUESTS = 2;

export interface ListingOptions extends OperationOptions {
  /** Takes the closing of the directory, where nobody need wait for it. */
  readonly inBackground?: ((closing: Promise<void>) => void) | undefined;
}

/** Takes the entries of one listing, and tells how many bytes of memory it keeps of each. */
export type EntrySink = (entry: NameEntry) => number;

/** Servers that have shown that they cannot answer several READDIRs at once. */
const oneByOne = new WeakSet<SftpClient>();

/**
 * The entries of a directory, without `.` and `..`, sorted by name; errors as {@link readEntries}. They become objects
 * only when all are there: what is allocated with them while they come would outlive them as garbage.
 */
export async function readAttributes(
  client: SftpClient,
  path: RemotePath,
  options: ListingOptions = {},
): Promise<FileAttributes[]> {
  const bytesOf = ({ name }: PackedEntry) => ATTRIBUTES_BYTES + textBytes(name);
  const packed = await readPacked(client, path, { ...options, bytesOf });
  return Array.from(packed.sorted(), (position) => attributesOf(packed.at(position)));
}

export interface PackingOptions extends ListingOptions {
  /** An attempt begins: what the last one has given does not count. */
  readonly onBegin?: (() => void) | undefined;
  /** Hears of the bytes that an entry takes, and may throw. */
  readonly onEntry?: ((bytes: number) => void) | undefined;
  /** What an entry takes in the end. Default: what it takes packed. */
  readonly bytesOf?: ((entry: PackedEntry) => number) | undefined;
}

/** As {@link readAttributes}, in no order, and in less than half of the memory. */
export async function readPacked(
  client: SftpClient,
  path: RemotePath,
  { onBegin, onEntry, bytesOf = PackedEntries.lengthOf, ...options }: PackingOptions = {},
): Promise<PackedEntries> {
  let all = new PackedEntries();
  const begin = () => {
    onBegin?.();
    const packed = new PackedEntries();
    all = packed;
    return withFewDetails((entry) => {
      packed.add(entry);
      const bytes = bytesOf(entry);
      onEntry?.(bytes);
      return bytes;
    });
  };
  await readEntries(client, path, begin, options);
  return all;
}

/** Entries with the server's own lines and extended data as long as these are few. */
function withFewDetails(keep: (entry: PackedEntry) => number): EntrySink {
  let left = MAX_DETAIL_BYTES;
  return ({ filename, longname, attributes }) => {
    const detailBytes = DETAIL_BYTES + longname.length + lengthOf(attributes.extended);
    const isDetailed = detailBytes <= left;
    if (isDetailed) left -= detailBytes;
    const bytes = keep({
      name: filename as Buffer,
      type: typeFrom(attributes.mode, Buffer.from(longname.subarray(0, 10)).toString('latin1')),
      attributes: isDetailed ? attributes : { ...attributes, extended: undefined },
      longname: isDetailed && longname.length > 0 ? longname : undefined,
    });
    return isDetailed ? bytes + detailBytes : bytes;
  };
}

/** An entry as callers see it. */
export function attributesOf({ name, type, attributes, longname }: PackedEntry): FileAttributes {
  return new FileAttributes(attributes, { filename: name, type, ...(longname && { longname }) });
}

/** What a pair takes beside its bytes: two arrays and the list that holds them. */
const PAIR_BYTES = 300;

function lengthOf(pairs: FileAttributes['extended'] = []): number {
  return pairs.reduce((sum, [name, data]) => sum + PAIR_BYTES + name.length + data.length, 0);
}

/**
 * What a name takes as text: two bytes for each unit as soon as it is not ASCII. If it is not UTF-8, most bytes become a
 * unit, and the bytes are kept too; so much comes in a time that there is as much garbage again.
 */
export function textBytes(name: Uint8Array): number {
  let units = 0;
  let isAscii = true;
  for (const byte of name) {
    if (byte >= 0x80) isAscii = false;
    // Bytes that continue a character are no units of their own, and a character of four bytes is two units.
    if ((byte & 0xc0) !== 0x80) units += byte >= 0xf0 ? 2 : 1;
  }
  if (isAscii) return STRING_BYTES + name.length;
  return isUtf8(name) ? STRING_BYTES + 2 * units : 2 * STRING_BYTES + 4 * name.length;
}

const STRING_BYTES = 24;

/**
 * Gives every entry of a directory to a sink, without `.` and `..`, in no order. Several READDIRs are in flight at
 * once, more with each answer that was not the last; they are carried out in their order (section 6 of the draft asks
 * that of requests for one handle), so what was asked behind the end is not waited for. A server that shows that it
 * cannot do so is asked again, one request at a time: `begin` is called for every attempt, and only what the last one
 * has given counts.
 *
 * @throws SftpError (`LIMIT`) if the listing has more than a million entries, or takes too much memory.
 */
export async function readEntries(
  client: SftpClient,
  path: RemotePath,
  begin: () => EntrySink,
  options: ListingOptions = {},
): Promise<void> {
  const read = (maxRequests: number) =>
    anew(
      () => new Listing(client, path, begin(), maxRequests).read(options),
      () => client.repeatedHandles,
    );
  if (!oneByOne.has(client)) {
    try {
      return await read(MAX_REQUESTS);
    } catch (error) {
      if (!(error instanceof OutOfOrder)) throw error;
    }
  }
  await read(1);
  oneByOne.add(client);
}

/** The answers to several READDIRs at once do not make up a listing. */
class OutOfOrder extends Error {}

type Answer = Promise<readonly NameEntry[] | null>;

class Listing {
  readonly #client: SftpClient;
  readonly #path: RemotePath;
  readonly #take: EntrySink;
  readonly #maxRequests: number;
  readonly #asked: Answer[] = [];
  readonly #recent = new RecentNames();
  #count = 0;
  #bytes = 0;
  #nameBytes = 0;

  constructor(client: SftpClient, path: RemotePath, take: EntrySink, maxRequests: number) {
    this.#client = client;
    this.#path = path;
    this.#take = take;
    this.#maxRequests = maxRequests;
  }

  async read({ inBackground, ...options }: ListingOptions): Promise<void> {
    const handle = await this.#client.opendir(this.#path, options);
    try {
      await this.#readAll(handle, options);
    } finally {
      // The listing is complete or has failed already; what a close adds to that helps nobody.
      const closing = untilAborted(this.#client.close(handle), options.signal).catch(() => {});
      if (inBackground === undefined) await closing;
      else inBackground(closing);
    }
  }

  async #readAll(handle: RemoteHandle, options: OperationOptions): Promise<void> {
    let isAfterEmpty = false;
    let useful = this.#maxRequests;
    for (let allowed = FIRST_REQUESTS; ; allowed += 1) {
      const count = Math.min(allowed, useful);
      while (this.#asked.length < count) this.#ask(handle, options);
      const batch = await this.#next();
      const fitting = Math.ceil(MAX_WAITING_ENTRIES / Math.max(1, batch?.length ?? 0));
      useful = Math.min(this.#maxRequests, Math.max(FIRST_REQUESTS, fitting));
      // There are servers that never say that this was all, and give no names instead.
      if (batch === null || (batch.length === 0 && isAfterEmpty)) return;
      isAfterEmpty = batch.length === 0;
      this.#takeBatch(batch);
    }
  }

  #ask(handle: RemoteHandle, options: OperationOptions): void {
    const answer = this.#client.readNames(handle, options);
    // Its failure is noticed when its turn has come, which behind the end never comes.
    answer.catch(() => {});
    this.#asked.push(answer);
  }

  async #next(): Answer {
    const isAlone = this.#asked.length === 1;
    try {
      return (await this.#asked.shift()) ?? null;
    } catch (error) {
      if (isAlone || !(error instanceof SftpStatusError)) throw error;
      await Promise.allSettled(this.#asked);
      throw new OutOfOrder();
    }
  }

  #takeBatch(batch: readonly NameEntry[]): void {
    const entries = batch.filter(({ filename }) => !isDots(filename));
    if (this.#maxRequests > 1 && !this.#recent.areNew(entries)) throw new OutOfOrder();
    for (const entry of entries) {
      this.#nameBytes += entry.filename.length;
      this.#bytes += this.#take(entry);
    }
    this.#count += entries.length;
    const isSmall = this.#bytes <= MAX_LISTING_BYTES && this.#nameBytes <= MAX_NAME_BYTES;
    if (this.#count <= MAX_ENTRIES && isSmall) return;
    const most = isSmall
      ? `${MAX_ENTRIES} entries`
      : `${MAX_NAME_BYTES / 1024 / 1024} MiB of names, after ${this.#count} entries`;
    throw new SftpError('LIMIT', `The listing of ${quote(this.#path)} was stopped: it has more than ${most}`);
  }
}

/** `.` and `..`. */
function isDots(name: Uint8Array): boolean {
  return name.length <= 2 && name[0] === 0x2e && (name.length === 1 || name[1] === 0x2e);
}

/**
 * The names of the last answers. A server that carries out two READDIRs at the same time answers both from where it
 * stood, and so sends names again that it has just sent.
 */
class RecentNames {
  readonly #names = new Set<string>();
  readonly #batches: (readonly string[])[] = [];

  areNew(entries: readonly NameEntry[]): boolean {
    const names = entries.map(({ filename }) => Buffer.from(filename).toString('latin1'));
    if (names.some((name) => this.#names.has(name))) return false;
    for (const name of names) this.#names.add(name);
    this.#batches.push(names);
    if (this.#batches.length > MAX_REQUESTS) {
      for (const name of this.#batches.shift() ?? []) this.#names.delete(name);
    }
    return true;
  }
}
