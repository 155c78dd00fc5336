/**
 * An SSH agent with one key (draft-miller-ssh-agent), for ssh to sign with a key that is in no file: it gets the public
 * half in a file and asks us, over a socket in our private folder, for signatures. The private half stays here.
 */
import { createPrivateKey, sign } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { AgentKey } from '../credentials/agent.js';
import {
  AgentReader,
  IDENTITIES_ANSWER,
  number,
  REQUEST_IDENTITIES,
  SIGN_REQUEST,
  SIGN_RESPONSE,
  string,
} from '../credentials/agent-protocol.js';
import type { PrivateKey } from '../credentials/private-key.js';
import { privateSocket } from './askpass/openssh-askpass-windows.js';

const FAILURE = Buffer.from([5]);
const MAXIMUM_REQUEST_LENGTH = 256 * 1024;

type Hash = 'sha256' | 'sha512';

/** An RSA key signs with SHA-2 or not at all. */
const RSA_ALGORITHMS = new Map<number, readonly [Hash, string]>([
  [2, ['sha256', 'rsa-sha2-256']],
  [4, ['sha512', 'rsa-sha2-512']],
]);

const CURVE_HASHES = new Map([
  ['ecdsa-sha2-nistp256', 'sha256'],
  ['ecdsa-sha2-nistp384', 'sha384'],
  ['ecdsa-sha2-nistp521', 'sha512'],
]);

export class KeyAgent {
  /** Where it listens. */
  readonly path: string;
  /** The public key, for ssh to know what to ask for. */
  readonly publicKeyPath: string;
  readonly #key: PrivateKey | AgentKey;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(key: PrivateKey | AgentKey, path: string, publicKeyPath: string) {
    this.#key = key;
    this.path = path;
    this.publicKeyPath = publicKeyPath;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** `folder` must be one that nobody else may enter. */
  static async open(folder: string, key: PrivateKey | AgentKey): Promise<KeyAgent> {
    const publicKeyPath = join(folder, 'key.pub');
    const blob = key.parsed.getPublicSSH().toString('base64');
    await writeFile(publicKeyPath, `${key.parsed.type} ${blob}\n`, { mode: 0o600 });
    const agent = new KeyAgent(key, privateSocket(folder, 'agent'), publicKeyPath);
    await new Promise<void>((resolve, reject) => {
      agent.#server.once('error', reject).listen(agent.path, resolve);
    });
    return agent;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    let received: Buffer<ArrayBufferLike> = Buffer.alloc(0);
    let answering = Promise.resolve();
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 4) {
        const end = 4 + received.readUInt32BE();
        if (end > MAXIMUM_REQUEST_LENGTH) socket.destroy();
        if (received.length < end || socket.destroyed) return;
        const request = received.subarray(4, end);
        received = received.subarray(end);
        answering = answering.then(async () => {
          const reply = await this.#answer(request).catch(() => FAILURE);
          if (!socket.destroyed) socket.write(string(reply));
        });
      }
    });
  }

  async #answer(request: Buffer): Promise<Buffer> {
    const { parsed, label } = this.#key;
    const blob = parsed.getPublicSSH();
    if (request[0] === REQUEST_IDENTITIES) {
      return Buffer.concat([
        Buffer.from([IDENTITIES_ANSWER]),
        number(1),
        string(blob),
        string(Buffer.from(label)),
      ]);
    }
    if (request[0] !== SIGN_REQUEST) return FAILURE;
    const reader = new AgentReader(request.subarray(1));
    const [wanted, data, flags] = [reader.string(), reader.string(), reader.number()];
    const [hash, algorithm] =
      parsed.type === 'ssh-rsa' ? (RSA_ALGORITHMS.get(flags) ?? []) : [undefined, parsed.type];
    if (!wanted.equals(blob) || algorithm === undefined) return FAILURE;
    const signature = Buffer.concat([string(Buffer.from(algorithm)), string(await this.#sign(data, hash))]);
    return Buffer.concat([Buffer.from([SIGN_RESPONSE]), string(signature)]);
  }

  async #sign(data: Buffer, hash: Hash | undefined): Promise<Buffer> {
    const key = this.#key;
    if (key instanceof AgentKey) {
      return await new Promise((resolve, reject) => {
        key.agent.sign(key.parsed, data, hash === undefined ? {} : { hash }, (error, signature) => {
          if (signature === undefined) reject(error);
          else resolve(signature);
        });
      });
    }
    const opened = createPrivateKey(key.parsed.getPrivatePEM());
    const curveHash = CURVE_HASHES.get(key.parsed.type);
    if (curveHash === undefined) return sign(hash ?? null, data, opened);
    const numbers = sign(curveHash, data, { key: opened, dsaEncoding: 'ieee-p1363' });
    const half = numbers.length / 2;
    return Buffer.concat([integer(numbers.subarray(0, half)), integer(numbers.subarray(half))]);
  }
}

/** RFC 4251, section 5: mpint, without leading zeros but for the sign. */
function integer(bytes: Buffer): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = start < 0 ? Buffer.alloc(0) : bytes.subarray(start);
  return string((digits[0] ?? 0) < 0x80 ? digits : Buffer.concat([Buffer.from([0]), digits]));
}
