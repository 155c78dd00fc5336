/**
 * A server that answers the calls of a real client with valid, almost valid and invalid replies. Every call settles,
 * with an error of ours where it fails, and nothing appears on the disk but below the folder that was named.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import { type Connection, SftpError } from '../../src/index.js';
import { decodeRequest, encodeHandshake, encodeReply } from '../../src/wire/codec.js';
import { extensions } from '../../src/wire/extensions.js';
import { FrameDecoder } from '../../src/wire/framing.js';
import { type ReplyName, type Request, requests } from '../../src/wire/packets.js';
import { openConnection } from '../support/stream-connection.js';
import { Random } from './random.js';
import { replyNames, someReply, written } from './replies.js';

const MAX_REPLIES = 200;
const DEADLINE_MS = 20_000;
/** A length that is too long leaves the client waiting for the rest, until it has had enough. */
const PATIENCE = { noProgressTimeoutMs: 150, handshakeTimeoutMs: 150 };

export async function fuzzSession(seed: number): Promise<number> {
  const random = new Random(seed);
  const outer = mkdtempSync(join(tmpdir(), 'tsftp-fuzz-'));
  const folder = join(outer, 'folder');
  mkdirSync(folder);
  writeFileSync(join(folder, 'source'), 'some content');
  const [stream, end] = duplexPair();
  const server = new RandomServer(end, random);
  try {
    const acting = act(stream, random, folder);
    await withDeadline(acting);
    assert.deepEqual(readdirSync(outer), ['folder'], 'nothing is beside the folder');
    assert.ok(!existsSync('/etc/x') && !existsSync('x'));
    return server.replies;
  } finally {
    stream.destroy();
    end.destroy();
    rmSync(outer, { recursive: true, force: true });
  }
}

async function act(stream: Duplex, random: Random, folder: string): Promise<void> {
  const outcomes: Promise<void>[] = [];
  const must = async (call: Promise<unknown>) => {
    await call.then(
      () => {},
      (error: unknown) => {
        if (!isAllowed(error)) throw error;
      },
    );
  };
  let connection: Connection;
  try {
    connection = await openConnection(stream, PATIENCE);
  } catch (error) {
    if (!isAllowed(error)) throw error;
    return;
  }
  const names = Object.keys(calls);
  for (let count = 1 + random.below(4); count > 0; count -= 1) {
    const call = calls[random.pick(names)];
    const outcome = must(call?.(connection, folder, random) ?? Promise.resolve());
    outcomes.push(outcome);
    // One after the other, or side by side.
    if (random.chance(50)) await outcome;
  }
  await Promise.all(outcomes);
  await connection.close();
}

type Call = (connection: Connection, folder: string, random: Random) => Promise<unknown>;

const calls: Readonly<Record<string, Call>> = {
  get: (sftp, folder) => sftp.get('/file', join(folder, 'got')),
  put: (sftp, folder, random) =>
    sftp.put(join(folder, 'source'), '/file', { atomic: random.chance(50), confirm: random.chance(50) }),
  getR: (sftp, folder, random) =>
    sftp.getR('/', join(folder, 'tree'), { symlinks: random.pick(['follow', 'skip'] as const) }),
  putR: (sftp, folder) => sftp.putR(folder, '/tree'),
  listdir: (sftp) => sftp.listdir('/'),
  walktree: (sftp) =>
    sftp.walktree(
      '/',
      () => {},
      () => {},
      () => {},
    ),
  stat: (sftp) => sftp.stat('/file'),
  exists: (sftp) => sftp.exists('/file'),
  rename: (sftp) => sftp.rename('/file', '/other'),
  makedirs: (sftp) => sftp.makedirs('/a/b/c'),
  readlink: (sftp) => sftp.readlink('/link'),
  chdir: (sftp) => sftp.chdir('/d'),
  rmtree: (sftp) => sftp.rmtree('/d'),
  glob: (sftp) => sftp.glob('/*/*'),
  readFile: (sftp) => sftp.readFile('/file'),
  writeFile: (sftp) => sftp.writeFile('/file', 'content'),
  statvfs: (sftp) => sftp.statvfs('/'),
  copy: (sftp) => sftp.copy('/file', '/copy'),
  touch: (sftp) => sftp.touch('/file'),
  open: async (sftp) => {
    const file = await sftp.open('/file', 'r+');
    try {
      await file.read();
      await file.write(Buffer.from('x'));
    } finally {
      await file.close();
    }
  },
};

/** Ours, or Node's own about the local disk. */
function isAllowed(error: unknown): boolean {
  if (error instanceof SftpError) return true;
  return error instanceof Error && 'syscall' in error && typeof error.syscall === 'string';
}

async function withDeadline(task: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('a call has not settled: a hang')), DEADLINE_MS);
  });
  try {
    await Promise.race([task, late]);
  } finally {
    clearTimeout(timer);
  }
}

class RandomServer {
  replies = 0;
  readonly #stream: Duplex;
  readonly #random: Random;
  readonly #decoder = new FrameDecoder();
  /** How honest this one is, in percent. */
  readonly #honesty: number;
  readonly #held: Buffer[] = [];

  constructor(stream: Duplex, random: Random) {
    this.#stream = stream;
    this.#random = random;
    this.#honesty = random.pick([80, 95, 99, 100]);
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => {
      for (const frame of this.#decoder.decode(chunk)) {
        if (frame.type === 1) this.#greet();
        else this.#answer(decodeRequest(frame));
      }
    });
  }

  #greet(): void {
    const random = this.#random;
    const offered = Object.values(extensions)
      .filter(() => random.chance(50))
      .map(({ name }) => [name, Buffer.from('1')] as const);
    const version = written((writer) =>
      encodeHandshake(writer, 'version', { version: 3, extensions: new Map(offered) }),
    );
    this.#send(random.chance(2) ? random.mutate(version) : version);
    // A mangled greeting may leave the client waiting for the rest.
    if (random.chance(2)) this.#stream.end();
  }

  #answer(request: Request): void {
    const random = this.#random;
    this.replies += 1;
    if (this.replies > MAX_REPLIES) {
      this.#stream.destroy();
      return;
    }
    const honest = random.chance(this.#honesty);
    const bytes = this.#reply(request, honest ? 0 : 1 + random.below(8));
    if (random.chance(10)) this.#held.push(bytes);
    else this.#send(bytes);
    setImmediate(() => {
      for (const held of this.#held.splice(0)) this.#send(held);
    });
  }

  #reply(request: Request, lie: number): Buffer {
    const random = this.#random;
    const valid = this.#honestReply(request);
    if (lie === 1) return random.mutate(valid);
    if (lie === 2) return someReply(random, random.pick(replyNames), request.id);
    if (lie === 3) return Buffer.concat([valid, valid]);
    if (lie === 4) return someReply(random, 'status', random.uint32());
    if (lie === 5) return random.bytes(200);
    if (lie === 6) {
      setImmediate(() => this.#stream.destroy());
      return valid.subarray(0, random.below(valid.length));
    }
    return valid;
  }

  #honestReply(request: Request): Buffer {
    const random = this.#random;
    const { id } = request;
    const status = (code: number) =>
      written((writer) => encodeReply(writer, id, 'status', { status: code, message: '', language: '' }));
    if (random.chance(10)) return someReply(random, 'status', id);
    if (request.kind === 'extended') {
      const row = Object.values(extensions).find(({ name }) => name === request.name);
      return row?.reply === 'status' || row === undefined ? status(0) : someReply(random, row.reply, id);
    }
    const name: ReplyName = requests[request.kind].reply;
    if ((name === 'data' || request.kind === 'readdir') && random.chance(50)) return status(1);
    return name === 'status' ? status(0) : someReply(random, name, id);
  }

  #send(bytes: Buffer): void {
    if (!this.#stream.destroyed && !this.#stream.writableEnded) this.#stream.write(bytes);
  }
}
