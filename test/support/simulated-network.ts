/**
 * A transfer over a network that exists only in numbers: a bottleneck with a queue, delay, jitter, lost packets, a
 * competing flow, a server and a client that take their time, and TCP's congestion control (slow start, and cubic after
 * a loss, RFC 9438) between them. Everything is in the order of sending, so that a reply costs a few operations.
 */
import type { Mark } from '../../src/transfer/engine/pace.js';
import { requestLength } from '../../src/transfer/engine/request-length.js';

export interface Network {
  readonly mbitPerSecond: number;
  readonly roundTripMs: number;
  /** Of the bottleneck, in bytes. */
  readonly queue: number;
  /** The share of packets that are lost. */
  readonly loss: number;
  /** What a reply takes longer at most. */
  readonly jitterMs?: number;
  /** Somebody else has half of the bottleneck, every other while. */
  readonly hasCompetitor?: boolean;
  /** How long the client stands still in every second. */
  readonly pauseMs?: number;
  /** What the server does one after the other takes so long for 255 KiB. */
  readonly serverMs?: number;
  /** What each reply takes longer, however many there are. */
  readonly latencyMs?: number;
}

/** What decides on how much may be in flight. */
export interface SimulatedWindow {
  readonly limit: number;
  /** Units per millisecond, and whether requests go by that. */
  readonly rate: number;
  readonly isRateKnown: boolean;
  mark(): Mark | undefined;
  count(units: number, mark: Mark): void;
  noteFull(): void;
}

export interface Transfer {
  /** Bytes per millisecond, from `fromMs` on. */
  readonly rate: number;
  /** How long requests took that were answered from `fromMs` on, the shortest first. */
  readonly waitsMs: readonly number[];
  readonly endMs: number;
}

export interface SimulationOptions {
  readonly fromMs: number;
  readonly endMs: number;
  readonly maxReplies: number;
}

const SEGMENT = 1448;
const FIRST_SEGMENTS = 10;
/** Of cubic: what is left of the congestion window after a loss, and how fast it grows again. */
const CUBIC_BETA = 0.7;
const CUBIC_C = 0.4;
/** The most in one request, as OpenSSH allows. */
const MAX_REQUEST = 255 * 1024;

/** Marsaglia's xorshift, for the same network the same numbers. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (state ^ (state << 13)) >>> 0;
    state = (state ^ (state >>> 17)) >>> 0;
    state = (state ^ (state << 5)) >>> 0;
    return state / 2 ** 32;
  };
}

function seedOf({ mbitPerSecond, roundTripMs, queue, loss }: Network): number {
  return Math.round(mbitPerSecond * 7919 + roundTripMs * 104729 + queue + loss * 1e6);
}

export function bytesPerMs({ mbitPerSecond }: Network): number {
  return mbitPerSecond * 125;
}

/** The sending end of the bottleneck. */
class SimulatedTcp {
  readonly #network: Network;
  readonly #random: () => number;
  #window = FIRST_SEGMENTS * SEGMENT;
  #threshold = Number.POSITIVE_INFINITY;
  #windowAtLoss = 0;
  /** So long after a loss the window is what it was before. */
  #plateauSeconds = 0;
  #lostAt = Number.NEGATIVE_INFINITY;
  #position = 0;
  #nextLoss: number;
  #freeAt = 0;
  /** What comes after a lost packet waits for it. */
  #heldBackUntil = 0;

  constructor(network: Network) {
    this.#network = network;
    this.#random = randomNumbers(seedOf(network));
    this.#nextLoss = this.#lossFreeBytes();
  }

  /** When all of it has left the bottleneck, in order. `inFlight` bytes have been asked for, it among them. */
  send(length: number, readyAt: number, inFlight: number): number {
    let at = Math.max(readyAt, this.#freeAt);
    for (let left = length; left > 0; ) {
      const piece = Math.min(left, Math.max(this.#window / 2, 4 * SEGMENT));
      at = this.#sendPiece(piece, at, inFlight);
      left -= piece;
    }
    this.#freeAt = at;
    return Math.max(at, this.#heldBackUntil);
  }

  #sendPiece(length: number, at: number, inFlight: number): number {
    const { roundTripMs, queue } = this.#network;
    const share = bytesPerMs(this.#network) * (isCompeting(this.#network, at) ? 0.5 : 1);
    const end = at + length / Math.min(share, this.#window / roundTripMs);
    this.#position += length;
    if (this.#window / roundTripMs < 4 * share) this.#grow(length, end);
    if (Math.min(this.#window, inFlight) - share * roundTripMs > queue) this.#lose(end);
    for (; this.#position >= this.#nextLoss; this.#nextLoss += this.#lossFreeBytes()) this.#lose(end);
    return end;
  }

  #grow(length: number, at: number): void {
    if (this.#window < this.#threshold) {
      this.#window += length;
      return;
    }
    const seconds = (at - this.#lostAt) / 1000 - this.#plateauSeconds;
    const target = SEGMENT * CUBIC_C * seconds * seconds * seconds + this.#windowAtLoss;
    this.#window = Math.max(this.#window, Math.min(this.#window + length, target));
  }

  #lose(at: number): void {
    if (at - this.#lostAt < this.#network.roundTripMs) return;
    this.#lostAt = at;
    this.#windowAtLoss = this.#window;
    this.#plateauSeconds = Math.cbrt(((this.#window / SEGMENT) * (1 - CUBIC_BETA)) / CUBIC_C);
    this.#window = Math.max(2 * SEGMENT, this.#window * CUBIC_BETA);
    this.#threshold = this.#window;
    this.#heldBackUntil = Math.max(this.#heldBackUntil, at + this.#network.roundTripMs);
  }

  #lossFreeBytes(): number {
    const { loss } = this.#network;
    if (loss === 0) return Number.POSITIVE_INFINITY;
    return (SEGMENT * Math.log(1 - this.#random())) / Math.log(1 - loss);
  }
}

function isCompeting({ hasCompetitor = false, roundTripMs }: Network, at: number): boolean {
  return hasCompetitor && Math.floor(at / (20 * (roundTripMs + 20))) % 2 === 1;
}

interface Reply {
  readonly length: number;
  readonly askedAt: number;
  readonly mark: Mark | undefined;
  readonly at: number;
}

/** One file that never ends, asked for as the window allows. */
export class SimulatedTransfer {
  nowMs = 0;
  readonly #network: Network;
  readonly #tcp: SimulatedTcp;
  readonly #random: () => number;
  readonly #replies: Reply[] = [];
  #inFlight = 0;
  #serverFreeAt = 0;
  #lastAt = 0;

  constructor(network: Network) {
    this.#network = network;
    this.#tcp = new SimulatedTcp(network);
    this.#random = randomNumbers(seedOf(network) + 1);
  }

  run(window: SimulatedWindow, { fromMs, endMs, maxReplies }: SimulationOptions): Transfer {
    let bytes = 0;
    let startedAt: number | undefined;
    const waitsMs: number[] = [];
    this.#ask(window);
    for (let index = 0; index < Math.min(this.#replies.length, maxReplies); index += 1) {
      const reply = this.#replies[index];
      if (reply === undefined || reply.at > endMs) break;
      this.nowMs = reply.at;
      this.#inFlight -= reply.length;
      if (startedAt !== undefined) {
        bytes += reply.length;
        waitsMs.push(reply.at - reply.askedAt);
      } else if (reply.at >= fromMs) startedAt = reply.at;
      if (reply.mark !== undefined) window.count(reply.length, reply.mark);
      this.#ask(window);
    }
    const elapsedMs = Math.max(this.nowMs - (startedAt ?? 0), 0.001);
    return { rate: bytes / elapsedMs, waitsMs: waitsMs.sort((a, b) => a - b), endMs: this.nowMs };
  }

  #ask(window: SimulatedWindow): void {
    for (;;) {
      const length = requestLength(window, MAX_REQUEST);
      if (this.#inFlight > 0 && this.#inFlight + length > window.limit) break;
      this.#inFlight += length;
      const at = this.#answeredAt(length);
      this.#replies.push({ length, askedAt: this.nowMs, mark: window.mark(), at });
    }
    window.noteFull();
  }

  #answeredAt(length: number): number {
    const { roundTripMs, queue, serverMs = 0, latencyMs = 0, jitterMs = 0, pauseMs = 0 } = this.#network;
    this.#serverFreeAt =
      Math.max(this.#serverFreeAt, this.nowMs + roundTripMs / 2) + (serverMs * length) / MAX_REQUEST;
    const sentAt = this.#tcp.send(length, this.#serverFreeAt + latencyMs, this.#inFlight);
    const othersMs = isCompeting(this.#network, sentAt) ? queue / bytesPerMs(this.#network) / 2 : 0;
    const at = sentAt + roundTripMs / 2 + this.#random() * jitterMs + Math.min(100, othersMs);
    const pausedMs = Math.max(0, pauseMs - (at % 1000));
    this.#lastAt = Math.max(this.#lastAt, at + pausedMs);
    return this.#lastAt;
  }
}
