/**
 * An SFTP server that says exactly what a test tells it to, byte by byte. It knows the codec of `src/wire` and
 * nothing of the client, so that it may break every rule.
 *
 * `converse` runs a script and a client against each other over a pair of streams in memory, until both have
 * ended. In the script, every `expect…` waits for the client's next packet:
 *
 * @example
 * await converse(
 *   async (peer) => {
 *     await peer.handshake({ 'limits@openssh.com': '1' });
 *     const open = await peer.expect('open', { path: '/a', flags: 1 });
 *     open.handle('h1');
 *     const read = await peer.expect('read', { handle: 'h1', length: 4 });
 *     read.data('more than was asked for');    // or peer.send('00 00 00 01 65'), peer.end(), peer.cut() …
 *     await peer.closed;
 *   },
 *   async (stream) => {
 *     const session = await Session.open(stream);
 *     …
 *   },
 * );
 *
 * A request that the script does not expect, or with other fields, or after its end, fails the test, and the
 * message shows what came instead. Requests may be kept and answered later, in any order and more than once.
 * Where one side has to wait for the other beyond that, a promise of the test's own does it.
 */
import { AssertionError } from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { type Duplex, type DuplexOptions, duplexPair } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inspect, isDeepStrictEqual } from 'node:util';
import type { AttributeValues } from '../../src/wire/attributes.js';
import { ByteWriter } from '../../src/wire/bytes.js';
import { decodeHandshake, decodeRequest, encodeHandshake, encodeReply } from '../../src/wire/codec.js';
import {
  decodeExtensionFields,
  type ExtensionFields,
  type ExtensionName,
  extensions,
} from '../../src/wire/extensions.js';
import { type Frame, FrameDecoder } from '../../src/wire/framing.js';
import {
  handshakePackets,
  type ReplyFields,
  type ReplyName,
  type Request,
  type RequestFields,
  type RequestName,
} from '../../src/wire/packets.js';
import { SSH_FX } from '../../src/wire/status.js';

/** Bytes; text stands for its UTF-8. */
export type Bytes = string | Uint8Array;

/** Some or all fields of a request as a script writes them, bytes as text where that reads better. */
type Expected<Fields> = {
  readonly [K in keyof Fields]?: Fields[K] extends Uint8Array | readonly Buffer[] ? Bytes : Fields[K];
};
export type ExpectedRequest<N extends RequestName> = Expected<RequestFields<N>>;
export type ExpectedExtension<N extends ExtensionName> = Expected<ExtensionFields<N>>;

export interface ScriptedName {
  readonly filename: Bytes;
  readonly longname?: Bytes;
  readonly attributes?: AttributeValues;
}

export interface ConversationOptions {
  /** How long both sides may take together. */
  readonly deadlineMs?: number;
  /** For the streams in memory, for instance a small `highWaterMark`. */
  readonly stream?: DuplexOptions;
}

/**
 * Runs both sides to their ends and resolves with what the client returns. The client's stream is destroyed
 * when the client has returned. The first error on either side ends both and fails the test.
 */
export async function converse<T>(
  script: (peer: ScriptedPeer) => Promise<void>,
  client: (stream: Duplex) => Promise<T>,
  { deadlineMs = 10_000, stream = {} }: ConversationOptions = {},
): Promise<T> {
  const peer = new ScriptedPeer(stream);
  const timer = setTimeout(() => peer.fail(peer.deadlineError(deadlineMs)), deadlineMs);
  const played = (async () => {
    await script(peer);
    await peer.expectNothingMore();
  })();
  const acted = (async () => {
    const value = await client(peer.stream);
    // What the client has sent without waiting for the reply is still to arrive.
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
    peer.stream.destroy();
    return value;
  })();
  played.catch((error) => {
    // That the client has gone says less than the reason for which it went.
    if (!(error instanceof ClientGone)) peer.fail(error);
  });
  acted.catch((error) => peer.fail(error));
  try {
    await Promise.race([Promise.allSettled([played, acted]), peer.failed]);
    await played;
    return await acted;
  } finally {
    clearTimeout(timer);
    peer.stream.destroy();
  }
}

class ScriptError extends AssertionError {
  constructor(message: string) {
    super({ message: `The script of the peer: ${message}` });
  }
}

class ClientGone extends ScriptError {}

/** The peer's side of a conversation. */
export class ScriptedPeer {
  /** The client's end of the connection. */
  readonly stream: Duplex;
  /** Resolves when the client has destroyed its end. */
  readonly closed: Promise<void>;
  /** Rejects with the first error of either side. */
  readonly failed: Promise<never>;
  /** The lengths of the chunks that have come: one for each write of the client. */
  readonly chunkLengths: number[] = [];
  readonly #end: Duplex;
  readonly #frames = new FrameDecoder();
  readonly #queue: Frame[] = [];
  #wakeUp: () => void = () => {};
  #gone = false;
  #waitingFor = 'nothing';
  #fail: (error: Error) => void = () => {};

  constructor(options: DuplexOptions) {
    const [client, server] = duplexPair(options);
    this.stream = client;
    this.#end = server;
    this.closed = new Promise((resolve) => client.once('close', resolve));
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {});
    client.on('error', () => {});
    client.once('close', () => {
      this.#gone = true;
      server.destroy();
      this.#wakeUp();
    });
    server.on('data', (chunk: Buffer) => {
      this.chunkLengths.push(chunk.length);
      for (const frame of this.#frames.decode(chunk)) this.#queue.push(frame);
      this.#wakeUp();
    });
  }

  /** Answers INIT as a server of version 3 does. */
  async handshake(announced: Readonly<Record<string, Bytes>> = {}): Promise<void> {
    await this.expectInit();
    this.version(3, announced);
  }

  async expectInit(): Promise<void> {
    const frame = await this.#next('INIT');
    const { version } = decodeHandshake(frame, 'init');
    if (version !== 3) throw new ScriptError(`it expects INIT of version 3, not ${version}`);
  }

  /** Sends VERSION. An entry for each extension, in order. */
  version(version: number, announced: Readonly<Record<string, Bytes>> = {}): void {
    const pairs = Object.entries(announced).map(([name, data]) => [name, toBuffer(data)] as const);
    this.#write((writer) => encodeHandshake(writer, 'version', { version, extensions: new Map(pairs) }));
  }

  /** Waits for the client's next request, which must be this one with (at least) these fields. */
  async expect<N extends RequestName>(name: N, fields: ExpectedRequest<N> = {}): Promise<ReceivedRequest<N>> {
    const wanted = show(name, fields);
    const request = await this.#request(wanted);
    const { kind, id, ...values } = request;
    if (kind !== name || !matches(values, fields)) {
      throw new ScriptError(`it expects ${wanted}, and the client has sent ${show(kind, values)}`);
    }
    return new ReceivedRequest<N>(this, id, values as unknown as RequestFields<N>);
  }

  /** Waits for the client's next request, whichever it is; rejects when the client has gone. */
  async expectAny(): Promise<ReceivedRequest<RequestName> & { readonly kind: RequestName }> {
    const { kind, id, ...values } = await this.#request('any request');
    const received = new ReceivedRequest<RequestName>(
      this,
      id,
      values as unknown as RequestFields<RequestName>,
    );
    return Object.assign(received, { kind });
  }

  /** Waits for an EXTENDED request of the table. */
  async expectExtension<N extends ExtensionName>(
    name: N,
    fields: ExpectedExtension<N> = {},
  ): Promise<ReceivedRequest<'extended'>> {
    const request = await this.expect('extended', { name: extensions[name].name } as const);
    const values = decodeExtensionFields(name, toBuffer(request.fields.data));
    if (!matches(values, fields)) {
      throw new ScriptError(
        `it expects ${show(name, fields)}, and the client has sent ${show(name, values)}`,
      );
    }
    return request;
  }

  /** Sends a reply, to any id that the script likes. */
  reply<N extends ReplyName>(id: number, name: N, fields: ReplyFields<N>): void {
    this.#write((writer) => encodeReply(writer, id, name, fields));
  }

  /** Sends bytes as they are; text is hexadecimal, with spaces where one likes. */
  send(bytes: string | Uint8Array): void {
    this.#end.write(typeof bytes === 'string' ? Buffer.from(bytes.replace(/\s/g, ''), 'hex') : bytes);
  }

  /** Sends a packet of any type with any body behind its true length. */
  sendPacket(type: number, body: string | Uint8Array): void {
    const bytes = typeof body === 'string' ? Buffer.from(body.replace(/\s/g, ''), 'hex') : body;
    const header = Buffer.alloc(5);
    header.writeUInt32BE(bytes.length + 1);
    header.writeUInt8(type, 4);
    this.send(Buffer.concat([header, bytes]));
  }

  /** Ends what the peer says, as a server that exits; what was sent before arrives. */
  end(): void {
    this.#end.end();
  }

  /** Destroys the connection at once, with an error as a socket has it, or without. */
  cut(error?: Error): void {
    this.stream.destroy(error);
  }

  /** Reads nothing more until `resume`: the client's stream fills up. */
  pause(): void {
    this.#end.pause();
  }

  resume(): void {
    this.#end.resume();
  }

  /** Waits until the client has gone; a packet before that is an error. */
  async expectNothingMore(): Promise<void> {
    const wanted = 'nothing more';
    try {
      const frame = await this.#next(wanted);
      throw new ScriptError(`it expects nothing more, and the client has sent ${describeFrame(frame)}`);
    } catch (error) {
      if (!(error instanceof ClientGone)) throw error;
    }
  }

  /** Ends the conversation; the first error counts. */
  fail(error: Error): void {
    this.#fail(error);
    this.cut(error);
  }

  deadlineError(deadlineMs: number): Error {
    return new ScriptError(`not at its end after ${deadlineMs} ms, it waits for ${this.#waitingFor}`);
  }

  async #request(wanted: string): Promise<Request> {
    const frame = await this.#next(wanted);
    if (frame.type === handshakePackets.init.type) {
      throw new ScriptError(`it expects ${wanted}, and the client has sent INIT`);
    }
    return decodeRequest(frame);
  }

  async #next(wanted: string): Promise<Frame> {
    this.#waitingFor = wanted;
    for (;;) {
      const frame = this.#queue.shift();
      if (frame !== undefined) {
        this.#waitingFor = 'nothing';
        return frame;
      }
      if (this.#gone) throw new ClientGone(`it expects ${wanted}, and the client has gone`);
      await new Promise<void>((resolve) => {
        this.#wakeUp = resolve;
      });
    }
  }

  #write(encode: (writer: ByteWriter) => void): void {
    const writer = new ByteWriter();
    encode(writer);
    this.send(Buffer.concat(writer.take()));
  }
}

/** A request that has come, and the ways to answer it. */
export class ReceivedRequest<N extends RequestName> {
  readonly id: number;
  readonly fields: RequestFields<N>;
  readonly #peer: ScriptedPeer;

  constructor(peer: ScriptedPeer, id: number, fields: RequestFields<N>) {
    this.#peer = peer;
    this.id = id;
    this.fields = fields;
  }

  ok(): void {
    this.status(SSH_FX.OK);
  }

  eof(): void {
    this.status(SSH_FX.EOF);
  }

  status(status: number, message = ''): void {
    this.reply('status', { status, message, language: '' });
  }

  handle(handle: Bytes): void {
    this.reply('handle', { handle: toBuffer(handle) });
  }

  data(content: Bytes): void {
    this.reply('data', { data: [toBuffer(content)] });
  }

  /** A NAME reply; a bare name has no attributes. */
  names(...entries: readonly (Bytes | ScriptedName)[]): void {
    const names = entries.map((entry) => {
      const scripted = typeof entry === 'string' || entry instanceof Uint8Array ? { filename: entry } : entry;
      const { filename, longname = '', attributes = {} } = scripted;
      return { filename: toBuffer(filename), longname: toBuffer(longname), attributes };
    });
    this.reply('name', { names });
  }

  attributes(attributes: AttributeValues): void {
    this.reply('attrs', { attributes });
  }

  extended(data: Bytes): void {
    this.reply('extendedReply', { data: toBuffer(data) });
  }

  reply<R extends ReplyName>(name: R, fields: ReplyFields<R>): void {
    this.#peer.reply(this.id, name, fields);
  }
}

function toBuffer(bytes: Bytes): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes);
}

/** Fields in a form that compares and reads well: bytes as text, or as hexadecimal where they are none. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) {
    const bytes = Buffer.from(value);
    const text = bytes.toString('utf8');
    return Buffer.from(text).equals(bytes) ? text : `0x${bytes.toString('hex')}`;
  }
  if (Array.isArray(value)) {
    const isContent = value.length > 0 && value.every((piece) => piece instanceof Uint8Array);
    return isContent ? plain(Buffer.concat(value)) : value.map(plain);
  }
  if (typeof value !== 'object' || value === null) return value;
  const known = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(known.map(([key, field]) => [key, plain(field)]));
}

function matches(actual: object, expected: object): boolean {
  const values = plain(actual) as Record<string, unknown>;
  return Object.entries(expected).every(([key, field]) => isDeepStrictEqual(values[key], plain(field)));
}

function show(name: string, fields: object): string {
  const shown = inspect(plain(fields), { breakLength: Number.POSITIVE_INFINITY, maxStringLength: 200 });
  return `${name.toUpperCase()} ${shown}`;
}

function describeFrame(frame: Frame): string {
  try {
    const { kind, id, ...fields } = decodeRequest(frame);
    return show(kind, fields);
  } catch {
    return `a packet of type ${frame.type}`;
  }
}
