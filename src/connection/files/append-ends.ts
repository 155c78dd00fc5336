/**
 * Where the files end that are being appended to. A server that knows APPEND finds the end by itself, whatever we say.
 * One that ignores it, as those made with Go's pkg/sftp, writes where we say: so whatever appends to one path over one
 * connection takes its place here, and nothing of ours overwrites anything else of ours.
 */
import type { Buffer } from 'node:buffer';
import { SerialQueue } from '../../shared/promises.js';
import { type PathKey, pathKey } from '../../shared/remote-path.js';

interface SharedEnd {
  end: number;
  users: number;
  readonly openings: SerialQueue;
}

export class AppendEnds {
  readonly #byPath = new Map<PathKey, SharedEnd>();

  /** Before the server is asked where the file ends, as that may change meanwhile. */
  join(path: Buffer): AppendEnd {
    const key = pathKey(path);
    const shared = this.#byPath.get(key) ?? { end: 0, users: 0, openings: new SerialQueue() };
    this.#byPath.set(key, shared);
    shared.users += 1;
    return new AppendEnd(shared, () => this.#byPath.delete(key));
  }
}

/** For one open file. */
export class AppendEnd {
  readonly #shared: SharedEnd;
  readonly #forget: () => void;
  #hasLeft = false;

  constructor(shared: SharedEnd, forget: () => void) {
    this.#shared = shared;
    this.#forget = forget;
  }

  /** Opens one after the other: of several that make the file at once, some servers keep what the last has made. */
  inTurn<T>(open: () => Promise<T>): Promise<T> {
    return this.#shared.openings.run(open);
  }

  /** It ends there, or behind that. */
  raise(end: number): void {
    this.#shared.end = Math.max(this.#shared.end, end);
  }

  /** It has been cut or extended. */
  reset(end: number): void {
    this.#shared.end = end;
  }

  get end(): number {
    return this.#shared.end;
  }

  /** Where the next `length` bytes go. */
  take(length: number): number {
    const offset = this.#shared.end;
    this.#shared.end += length;
    return offset;
  }

  /** The last ones that were taken have not been written. */
  giveBack(offset: number, length: number): void {
    if (this.#shared.end === offset + length) this.#shared.end = offset;
  }

  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#shared.users -= 1;
    if (this.#shared.users === 0) this.#forget();
  }
}
