/** An SFTP server that answers every request as a scenario likes, without end and as fast as it is read. */
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import type { AttributeValues } from '../../src/wire/attributes.js';
import { ByteWriter } from '../../src/wire/bytes.js';
import { decodeRequest, encodeHandshake, encodeReply } from '../../src/wire/codec.js';
import { extensions } from '../../src/wire/extensions.js';
import { type Frame, FrameDecoder } from '../../src/wire/framing.js';
import { type Request, replies } from '../../src/wire/packets.js';

/** What the entries of a listing look like; there is no end of them. */
export interface EndlessNames {
  readonly nameLength: number;
  readonly longnameLength?: number;
  /** Of one pair of extended data. */
  readonly extendedLength?: number;
  /** What fills the names. */
  readonly filling?: number;
  readonly mode?: number;
  /** Of each. Default: 1. */
  readonly size?: number;
  /** How many there are. Default: no end. */
  readonly count?: number;
  /** None of the names is another one. */
  readonly repeats?: boolean;
}

export interface HostileSftp {
  readonly names?: EndlessNames;
  /** Of STAT, LSTAT and FSTAT. Default: a directory. */
  readonly attributes?: AttributeValues;
  /** STAT of a path of one name tells a directory all the same. */
  readonly isDirectory?: boolean;
  /** Content of READ, as much as was asked for. Default: the end of the file. */
  readonly content?: boolean;
  /** The bytes of a link, of a real path, and of the message of a failure. */
  readonly textLength?: number;
  /** Whether no file can be opened. */
  readonly refusesFiles?: boolean;
  /** Whether what changes something fails, with such a message. */
  readonly fails?: boolean;
  /** Sent in VERSION beside those that are known. */
  readonly extensionLength?: number;
}

const MAX_PACKET = 256 * 1024;
const DIRECTORY: AttributeValues = { mode: 0o040755, size: 4096, mtime: 1_700_000_000, atime: 1_700_000_000 };
const MARK_LENGTH = 10;

export function serveHostileSftp(channel: Duplex, options: HostileSftp): void {
  new HostileServer(channel, options).start();
}

class HostileServer {
  readonly #channel: Duplex;
  readonly #options: HostileSftp;
  readonly #decoder = new FrameDecoder();
  readonly #batch: Batch | undefined;
  #isGreeted = false;

  constructor(channel: Duplex, options: HostileSftp) {
    this.#channel = channel;
    this.#options = options;
    this.#batch = options.names && new Batch(options.names);
  }

  start(): void {
    this.#channel.on('data', (chunk: Buffer) => {
      for (const frame of this.#decoder.decode(chunk)) this.#handle(frame);
      if (!this.#channel.writableNeedDrain) return;
      this.#channel.pause();
      this.#channel.once('drain', () => this.#channel.resume());
    });
  }

  #handle(frame: Frame): void {
    if (this.#isGreeted) this.#answer(decodeRequest(frame));
    else this.#greet();
  }

  #greet(): void {
    this.#isGreeted = true;
    const known = Object.values(extensions).map(({ name }) => [name, Buffer.from('1')] as const);
    const { extensionLength = 0 } = this.#options;
    const junk = Array.from({ length: Math.floor(extensionLength / 100) }, (_, index) => {
      return [`x${index}@${'y'.repeat(40)}`, Buffer.alloc(40)] as const;
    });
    this.#write((writer) =>
      encodeHandshake(writer, 'version', { version: 3, extensions: new Map([...known, ...junk]) }),
    );
  }

  #answer(request: Request): void {
    const { id, kind } = request;
    const { attributes = DIRECTORY, content = false, textLength = 10, fails = false } = this.#options;
    const text = 'x'.repeat(textLength);
    const status = (code: number) =>
      this.#reply(id, 'status', { status: code, message: fails ? text : '', language: '' });
    if (kind === 'readdir') this.#list(id, request.handle);
    else if (kind === 'open' || kind === 'opendir') this.#open(id, kind);
    else if (kind === 'stat' || kind === 'lstat' || kind === 'fstat')
      this.#reply(id, 'attrs', { attributes: this.#isDirectory(request) ? DIRECTORY : attributes });
    else if (kind === 'realpath' || kind === 'readlink') {
      const filename = Buffer.from(`/${text}`);
      this.#reply(id, 'name', { names: [{ filename, longname: filename, attributes: {} }] });
    } else if (kind === 'read' && content)
      this.#reply(id, 'data', { data: [Buffer.alloc(Math.min(request.length, MAX_PACKET - 100))] });
    else if (kind === 'read') status(1);
    else if (kind === 'extended') status(8);
    else status(fails && kind !== 'close' ? 4 : 0);
  }

  #open(id: number, kind: 'open' | 'opendir'): void {
    if (kind === 'open' && this.#options.refusesFiles)
      this.#reply(id, 'status', { status: 3, message: '', language: '' });
    else this.#reply(id, 'handle', { handle: Buffer.from(`${kind} ${handles++}`) });
  }

  #isDirectory(request: Request): boolean {
    const isAsked = this.#options.isDirectory === true && request.kind === 'stat';
    return isAsked && !Buffer.from(request.path).subarray(1).includes('/');
  }

  #list(id: number, handle: Uint8Array): void {
    const body = this.#batch?.next(Buffer.from(handle).toString());
    if (body === undefined) {
      this.#reply(id, 'status', { status: 1, message: '', language: '' });
      return;
    }
    const header = Buffer.alloc(9);
    header.writeUInt32BE(body.length + 5);
    header.writeUInt8(replies.name.type, 4);
    header.writeUInt32BE(id, 5);
    this.#channel.write(header);
    this.#channel.write(body);
  }

  #reply<N extends keyof typeof replies>(
    id: number,
    name: N,
    fields: Parameters<typeof encodeReply<N>>[3],
  ): void {
    this.#write((writer) => encodeReply(writer, id, name, fields));
  }

  #write(encode: (writer: ByteWriter) => void): void {
    const writer = new ByteWriter();
    encode(writer);
    for (const chunk of writer.take()) this.#channel.write(chunk);
  }
}

let handles = 0;

/** As many entries as fit into a packet, 1,000 at the most; only the beginnings of the names change. */
class Batch {
  readonly #names: EndlessNames;
  readonly #record: Buffer;
  readonly #count: number;
  readonly #given = new Map<string, number>();
  #last = 0;

  constructor(names: EndlessNames) {
    const {
      nameLength,
      longnameLength = 0,
      extendedLength = 0,
      filling = 0x78,
      mode = 0o100644,
      size = 1,
    } = names;
    const writer = new ByteWriter();
    const attributes = {
      ...{ size, uid: 1000, gid: 1000, mode, atime: 1_700_000_000, mtime: 1_700_000_000 },
      extended: extendedLength === 0 ? [] : [[Buffer.from('x@y'), Buffer.alloc(extendedLength)] as const],
    };
    encodeReply(writer, 0, 'name', {
      names: [
        {
          filename: Buffer.alloc(Math.max(nameLength, MARK_LENGTH), filling),
          longname: Buffer.alloc(longnameLength, 0x2d),
          attributes,
        },
      ],
    });
    this.#names = names;
    this.#record = Buffer.concat(writer.take()).subarray(13);
    this.#count = Math.max(1, Math.min(1000, Math.floor((MAX_PACKET - 100) / this.#record.length)));
  }

  /** The body behind the id; `undefined`: the end. */
  next(handle: string): Buffer | undefined {
    const { count: most = Number.POSITIVE_INFINITY, repeats = false } = this.#names;
    const given = this.#given.get(handle) ?? 0;
    const count = Math.min(this.#count, most - given);
    if (count <= 0) return undefined;
    this.#given.set(handle, given + count);
    const body = Buffer.alloc(4 + count * this.#record.length);
    body.writeUInt32BE(count);
    for (let index = 0; index < count; index += 1) {
      const start = 4 + index * this.#record.length;
      body.set(this.#record, start);
      if (!repeats) this.#last += 1;
      body.write((repeats ? index : this.#last).toString().padStart(MARK_LENGTH, '0'), start + 4, 'latin1');
    }
    return body;
  }
}
