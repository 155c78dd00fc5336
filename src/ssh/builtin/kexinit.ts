/**
 * The server's offer, from its first KEXINIT (RFC 4253, section 7.1), which travels in the clear. ssh2 keeps
 * it to itself, and we need it twice: for an error that shows both offers, and to know whether the server
 * agreed to strict key exchange (OpenSSH's PROTOCOL, section 1.10).
 */
import type { Offer } from '../algorithms.js';

export interface ServerOffer extends Offer {
  /** Server to client; the lists inherited are those from client to server. */
  readonly ciphersBack: readonly string[];
  readonly macsBack: readonly string[];
  readonly compressionBack: readonly string[];
  readonly strictKex: boolean;
}

const MAXIMUM_PACKET_LENGTH = 35_000;
const MESSAGE_KEXINIT = 20;
const COOKIE_LENGTH = 16;
const STRICT_KEX_OF_SERVER = 'kex-strict-s-v00@openssh.com';

/** Collects the bytes after the identification until the first packet is whole; then `offer` is there. */
export class KexInitReader {
  #received: Buffer<ArrayBufferLike> = Buffer.alloc(0);
  #afterIdentification = false;
  #done = false;
  offer: ServerOffer | undefined;

  /** Gives `true` once it needs no more. */
  push(chunk: Buffer): boolean {
    if (this.#done) {
      return true;
    }
    this.#received = Buffer.concat([this.#received, chunk]);
    if (!this.#afterIdentification) {
      const newline = this.#received.indexOf(10);
      if (newline < 0) {
        return false;
      }
      this.#received = this.#received.subarray(newline + 1);
      this.#afterIdentification = true;
    }
    this.#done = this.#readPacket();
    return this.#done;
  }

  #readPacket(): boolean {
    if (this.#received.length < 4) {
      return false;
    }
    const length = this.#received.readUInt32BE(0);
    if (length > MAXIMUM_PACKET_LENGTH) {
      return true;
    }
    if (this.#received.length < 4 + length) {
      return false;
    }
    const padding = this.#received[4] ?? 0;
    this.offer = parseKexInit(this.#received.subarray(5, Math.max(5, 4 + length - padding)));
    return true;
  }
}

function parseKexInit(payload: Buffer): ServerOffer | undefined {
  const lists: string[][] = [];
  let at = 1 + COOKIE_LENGTH;
  while (lists.length < 8 && payload[0] === MESSAGE_KEXINIT && at + 4 <= payload.length) {
    const end = at + 4 + payload.readUInt32BE(at);
    if (end > payload.length) {
      return undefined;
    }
    const text = payload.toString('latin1', at + 4, end);
    lists.push(text === '' ? [] : text.split(','));
    at = end;
  }
  const [kex, hostKeyAlgorithms, ciphers, ciphersBack, macs, macsBack, compression, compressionBack] = lists;
  if (!kex || !hostKeyAlgorithms || !ciphers || !ciphersBack || !macs || !macsBack || !compression) {
    return undefined;
  }
  return {
    kex,
    hostKeyAlgorithms,
    ciphers,
    ciphersBack,
    macs,
    macsBack,
    compression,
    compressionBack: compressionBack ?? [],
    strictKex: kex.includes(STRICT_KEX_OF_SERVER),
  };
}
