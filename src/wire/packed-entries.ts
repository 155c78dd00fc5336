/**
 * Entries of directories in little memory, outside of the heap of JavaScript: a million of them, with names of 20 bytes,
 * take 65 MiB. Each has a position, by which it is found and sorted.
 */
import { Buffer } from 'node:buffer';
import type { AttributeValues, FileType } from './attributes.js';

export interface PackedEntry {
  /** One that was packed shares its memory with many others: copy it to keep it. */
  readonly name: Buffer;
  readonly type: FileType;
  readonly attributes: AttributeValues;
  /** The server's own line, where it is kept. */
  readonly longname?: Uint8Array | undefined;
}

const BLOCK_LENGTH = 1024 * 1024;
/** Most directories are small: the first blocks are shorter, each eight times as long as the one before. */
const FIRST_LENGTH = 1024;
/** What is worked off for long outlives the young generation, and piles up as garbage. */
const MAX_DRAINED = 256;
const TYPES: readonly FileType[] = [
  ...(['unknown', 'file', 'directory', 'symlink', 'fifo', 'socket'] as const),
  ...(['character-device', 'block-device'] as const),
];
/** Where the fields of an entry are: the name follows them, then the long name. */
const AT = { type: 0, has: 1, nameLength: 2, longnameLength: 6, mode: 10, size: 14, atime: 22, mtime: 30 };
const AT_OWNER = { uid: 38, gid: 42 };
const AT_NOTE = 46;
const HEADER_LENGTH = 47;
const HAS = { size: 1, mode: 2, atime: 4, mtime: 8, owner: 16, longname: 32 };

export class PackedEntries {
  /** A position is the number of a block and a place in it: a longer entry has a block of its own. */
  readonly #blocks: (Buffer | undefined)[] = [];
  readonly #extended = new Map<number, AttributeValues['extended']>();
  #used = 0;

  /** What an entry takes, in bytes. */
  static lengthOf({ name, longname }: Pick<PackedEntry, 'name' | 'longname'>): number {
    return HEADER_LENGTH + name.length + (longname?.length ?? 0);
  }

  /** Gives the position of the entry. */
  add(entry: PackedEntry): number {
    const { name, longname } = entry;
    const position = this.#reserve(PackedEntries.lengthOf(entry));
    const { block, at } = this.#find(position);
    // The rest of a block is zeros.
    block.writeUInt32LE(name.length + 1, at + AT.nameLength);
    block.writeUInt32LE(longname?.length ?? 0, at + AT.longnameLength);
    block.set(name, at + HEADER_LENGTH);
    if (longname !== undefined) {
      block.set(longname, at + HEADER_LENGTH + name.length);
      block[at + AT.has] = HAS.longname;
    }
    this.setAttributes(position, entry);
    return position;
  }

  /** Puts others in their place; name and long name stay. */
  setAttributes(position: number, { type, attributes }: Pick<PackedEntry, 'type' | 'attributes'>): void {
    const { size, mode, atime, mtime, uid, gid, extended = [] } = attributes;
    const { block, at } = this.#find(position);
    block[at + AT.type] = TYPES.indexOf(type);
    block[at + AT.has] =
      (size === undefined ? 0 : HAS.size) |
      (mode === undefined ? 0 : HAS.mode) |
      (atime === undefined ? 0 : HAS.atime) |
      (mtime === undefined ? 0 : HAS.mtime) |
      (uid === undefined ? 0 : HAS.owner) |
      ((block[at + AT.has] ?? 0) & HAS.longname);
    block.writeUInt32LE(mode ?? 0, at + AT.mode);
    block.writeDoubleLE(size ?? 0, at + AT.size);
    block.writeDoubleLE(atime ?? 0, at + AT.atime);
    block.writeDoubleLE(mtime ?? 0, at + AT.mtime);
    block.writeUInt32LE(uid ?? 0, at + AT_OWNER.uid);
    block.writeUInt32LE(gid ?? 0, at + AT_OWNER.gid);
    if (extended.length > 0) this.#extended.set(position, extended);
    else this.#extended.delete(position);
  }

  at(position: number): PackedEntry {
    const { block, at } = this.#find(position);
    const has = block[at + AT.has] ?? 0;
    const end = at + HEADER_LENGTH + nameLengthAt(block, at);
    const isOwned = (has & HAS.owner) !== 0;
    return {
      name: block.subarray(at + HEADER_LENGTH, end),
      type: typeAt(block, at),
      attributes: {
        size: has & HAS.size ? block.readDoubleLE(at + AT.size) : undefined,
        uid: isOwned ? block.readUInt32LE(at + AT_OWNER.uid) : undefined,
        gid: isOwned ? block.readUInt32LE(at + AT_OWNER.gid) : undefined,
        mode: has & HAS.mode ? block.readUInt32LE(at + AT.mode) : undefined,
        atime: has & HAS.atime ? block.readDoubleLE(at + AT.atime) : undefined,
        mtime: has & HAS.mtime ? block.readDoubleLE(at + AT.mtime) : undefined,
        extended: this.#extended.get(position),
      },
      longname:
        has & HAS.longname
          ? block.subarray(end, end + block.readUInt32LE(at + AT.longnameLength))
          : undefined,
    };
  }

  /** A number up to 255 that somebody has set for it; 0 at first. */
  noteAt(position: number): number {
    const { block, at } = this.#find(position);
    return block[at + AT_NOTE] ?? 0;
  }

  setNote(position: number, note: number): void {
    const { block, at } = this.#find(position);
    block[at + AT_NOTE] = note;
  }

  typeAt(position: number): FileType {
    const { block, at } = this.#find(position);
    return typeAt(block, at);
  }

  /** Shares its memory with many others. */
  nameAt(position: number): Buffer {
    const { block, at } = this.#find(position);
    return block.subarray(at + HEADER_LENGTH, at + HEADER_LENGTH + nameLengthAt(block, at));
  }

  /** By the bytes of their names; the other position may be one of other entries. */
  compare(left: number, right: number, others: PackedEntries = this): number {
    // Not with the places as arguments of `compare`: Deno confuses those of the one with those of the other.
    return Buffer.compare(this.nameAt(left), others.nameAt(right));
  }

  /** All positions, or those that are given, sorted by the bytes of their names; of equal names the first comes first. */
  sorted(positions: ArrayLike<number> = [...this.#positions()]): Uint32Array {
    const skipped = this.#commonLength(positions);
    const keys = Float64Array.from(positions, (position) => keyOf(this.nameAt(position), skipped));
    const order = Uint32Array.from(positions, (_, index) => index).sort((left, right) => {
      const difference = (keys[left] ?? 0) - (keys[right] ?? 0);
      return difference || this.compare(positions[left] ?? 0, positions[right] ?? 0);
    });
    return order.map((index) => positions[index] ?? 0);
  }

  /** Gives back the memory that is reserved for further entries. */
  trim(): void {
    const last = this.#blocks.length - 1;
    const block = this.#blocks[last];
    if (block !== undefined && this.#used < block.length)
      this.#blocks[last] = Buffer.from(block.subarray(0, this.#used));
  }

  /** Takes all entries out in the order in which they came: what has been given takes no memory any more. */
  *drain<T>(make: (entry: PackedEntry) => T): Generator<readonly T[], void, undefined> {
    for (const number of this.#blocks.keys()) {
      let made: T[] = [];
      for (const position of this.#positionsIn(number)) {
        made.push(make(this.at(position)));
        if (made.length < MAX_DRAINED) continue;
        yield made;
        made = [];
      }
      this.#blocks[number] = undefined;
      yield made;
    }
  }

  *#positions(): Generator<number, void, undefined> {
    for (const number of this.#blocks.keys()) yield* this.#positionsIn(number);
  }

  *#positionsIn(number: number): Generator<number, void, undefined> {
    const block = this.#blocks[number] ?? EMPTY;
    for (let at = 0; at + HEADER_LENGTH <= block.length; ) {
      const nameLength = nameLengthAt(block, at);
      if (nameLength < 0) return;
      yield number * BLOCK_LENGTH + at;
      at += HEADER_LENGTH + nameLength + block.readUInt32LE(at + AT.longnameLength);
    }
  }

  #reserve(length: number): number {
    if (this.#used + length > (this.#blocks.at(-1)?.length ?? 0)) {
      const usual = Math.min(BLOCK_LENGTH, FIRST_LENGTH * 8 ** this.#blocks.length);
      this.#blocks.push(Buffer.alloc(Math.max(usual, length)));
      this.#used = 0;
    }
    const position = (this.#blocks.length - 1) * BLOCK_LENGTH + this.#used;
    this.#used += length;
    return position;
  }

  #find(position: number): { readonly block: Buffer; readonly at: number } {
    return { block: this.#blocks[Math.floor(position / BLOCK_LENGTH)] ?? EMPTY, at: position % BLOCK_LENGTH };
  }

  /** How many bytes all names begin with. */
  #commonLength(positions: ArrayLike<number>): number {
    if (positions.length === 0) return 0;
    const first = this.nameAt(positions[0] ?? 0);
    let { length } = first;
    for (let index = 1; index < positions.length && length > 0; index += 1) {
      const name = this.nameAt(positions[index] ?? 0);
      length = Math.min(length, name.length);
      for (let at = 0; at < length; at += 1) if (name[at] !== first[at]) length = at;
    }
    return length;
  }
}

const EMPTY = Buffer.alloc(0);
/** As many bytes of a name as a number holds exactly: most names are told apart without comparing them. */
const KEY_LENGTH = 6;

function keyOf(name: Buffer, skipped: number): number {
  let key = 0;
  for (let at = skipped; at < skipped + KEY_LENGTH; at += 1) key = key * 256 + (name[at] ?? 0);
  return key;
}

function nameLengthAt(block: Buffer, at: number): number {
  return block.readUInt32LE(at + AT.nameLength) - 1;
}

function typeAt(block: Buffer, at: number): FileType {
  return TYPES[block[at + AT.type] ?? 0] ?? 'unknown';
}
