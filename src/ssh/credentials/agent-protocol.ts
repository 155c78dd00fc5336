/**
 * Asks an SSH agent (draft-miller-ssh-agent): one request, one reply, one stream, one deadline. What answers
 * may be anything that listens on the socket, so a reply is bounded and read with care.
 */
import type { Duplex } from 'node:stream';
import ssh2 from 'ssh2';

/** OpenSSH's agent sends no more. */
const MAXIMUM_REPLY_LENGTH = 256 * 1024;
export const REQUEST_IDENTITIES = 11;
export const IDENTITIES_ANSWER = 12;
export const SIGN_REQUEST = 13;
export const SIGN_RESPONSE = 14;

/** `SSH_AGENT_RSA_SHA2_256` and `_512`; without a flag an RSA key signs with SHA-1. */
const HASH_FLAGS: Partial<Record<string, number>> = { sha256: 2, sha512: 4 };

export interface AgentIdentity {
  readonly bytes: Buffer;
  readonly comment: string;
}

export interface SignRequest {
  readonly key: Uint8Array;
  readonly data: Uint8Array;
  /** `sha256` or `sha512`, for RSA keys. */
  readonly hash: string | undefined;
}

/** The public keys that an agent holds. Rejects if it does not answer in time, or not sensibly. */
export async function requestIdentities(path: string, timeoutMs: number): Promise<readonly AgentIdentity[]> {
  const reply = new AgentReader(
    await ask(path, Buffer.from([REQUEST_IDENTITIES]), timeoutMs),
    IDENTITIES_ANSWER,
  );
  const identities: AgentIdentity[] = [];
  for (let left = reply.number(); left > 0; left--) {
    identities.push({ bytes: reply.string(), comment: reply.string().toString('utf8') });
  }
  return identities;
}

/** The signature, without the name of its algorithm, as ssh2 wants it. Rejects as above, and if the agent refuses. */
export async function requestSignature(
  path: string,
  request: SignRequest,
  timeoutMs: number,
): Promise<Buffer> {
  const flags = HASH_FLAGS[request.hash ?? ''] ?? 0;
  const payload = [Buffer.from([SIGN_REQUEST]), string(request.key), string(request.data), number(flags)];
  const reply = new AgentReader(await ask(path, Buffer.concat(payload), timeoutMs), SIGN_RESPONSE);
  const signature = new AgentReader(reply.string());
  signature.string();
  return signature.string();
}

function ask(path: string, payload: Buffer, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let stream: Duplex | undefined;
    let received: Buffer<ArrayBufferLike> = Buffer.alloc(0);
    const settle = (give: () => void): void => {
      clearTimeout(timer);
      stream?.destroy();
      give();
    };
    const fail = (reason: string) => (): void => settle(() => reject(new Error(`The SSH agent ${reason}`)));
    const timer = setTimeout(fail(`did not answer within ${timeoutMs / 1000} seconds`), timeoutMs);
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const length = received.length < 4 ? 0 : received.readUInt32BE();
      if (length > MAXIMUM_REPLY_LENGTH) fail('sent an invalid reply')();
      else if (received.length >= 4 && received.length >= 4 + length) {
        settle(() => resolve(received.subarray(4, 4 + length)));
      }
    };
    const onOpen = (error: Error | null | undefined, opened?: Duplex): void => {
      stream = opened;
      if (error || opened === undefined) {
        fail('cannot be reached')();
        return;
      }
      opened.on('error', fail('ended the conversation')).on('close', fail('ended the conversation'));
      opened.on('data', onData);
      opened.write(string(payload));
    };
    try {
      openAgent(path).getStream(onOpen);
    } catch {
      fail('cannot be reached')();
    }
  });
}

interface StreamAgent extends ssh2.BaseAgent {
  getStream(callback: (error: Error | null | undefined, stream?: Duplex) => void): void;
}

/** A socket, and on Windows a pipe, Cygwin's imitation of a socket, or Pageant: ssh2 knows how to reach each. */
function openAgent(path: string): StreamAgent {
  return ssh2.createAgent(path) as StreamAgent;
}

/** Reads the fields of a message; what is not there is an error. */
export class AgentReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer, type?: number) {
    this.#bytes = bytes;
    if (type === undefined) return;
    if (bytes[0] !== type) throw new Error('The SSH agent refused the request or sent another reply');
    this.#at = 1;
  }

  number(): number {
    if (this.#at + 4 > this.#bytes.length) throw new Error('The SSH agent sent an invalid reply');
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }

  string(): Buffer {
    const length = this.number();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Error('The SSH agent sent an invalid reply');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}

export function string(bytes: Uint8Array): Buffer {
  return Buffer.concat([number(bytes.length), bytes]);
}

export function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
