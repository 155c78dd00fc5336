/** Reads what comes next before it is asked for, as a stream wants it: from one position on, piece by piece. */
import { Buffer } from 'node:buffer';

/** What is read ahead at the most. */
const MAX_PIECES = 16;
/** Most files end before more is worth it. */
const FIRST_PIECES = 2;

interface Piece {
  readonly position: number;
  readonly bytes: Promise<Buffer>;
  readonly length: number;
}

export class ReadAhead {
  readonly #read: (target: Buffer, position: number) => Promise<number>;
  /** The last byte that is wanted. */
  readonly #end: number;
  #pieces: Piece[] = [];
  #allowed = FIRST_PIECES;
  #isStopped = false;

  constructor(read: (target: Buffer, position: number) => Promise<number>, end: number) {
    this.#read = read;
    this.#end = end;
  }

  async read(target: Buffer, position: number): Promise<number> {
    if (this.#pieces[0]?.position !== position || this.#pieces[0].length < target.length) this.#pieces = [];
    if (this.#pieces.length === 0) this.#ask(position, target.length);
    const first = this.#pieces.shift();
    this.#askAhead(first, target.length);
    const bytes = (await first?.bytes) ?? Buffer.alloc(0);
    this.#allowed = Math.min(MAX_PIECES, this.#allowed * 2);
    if (bytes.length <= target.length) {
      // What was asked behind a short piece is either nothing, or not what comes next.
      if (bytes.length < (first?.length ?? 0)) this.#pieces = [];
      return bytes.copy(target);
    }
    this.#pieces = [];
    return bytes.copy(target, 0, 0, target.length);
  }

  stop(): void {
    this.#isStopped = true;
    this.#pieces = [];
  }

  #askAhead(first: Piece | undefined, length: number): void {
    for (;;) {
      const last = this.#pieces.at(-1) ?? first;
      if (last === undefined || this.#pieces.length + 1 >= this.#allowed || this.#isStopped) return;
      const next = last.position + last.length;
      if (next > this.#end) return;
      this.#ask(next, Math.min(length, this.#end - next + 1));
    }
  }

  #ask(position: number, length: number): void {
    const piece = Buffer.allocUnsafe(length);
    const bytes = this.#read(piece, position).then((count) => piece.subarray(0, count));
    // Its failure is told when its turn has come.
    bytes.catch(() => {});
    this.#pieces.push({ position, bytes, length });
  }
}
