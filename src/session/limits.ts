/** What a server takes in one request, from `limits@openssh.com` or by assumption. */
import type { ExtensionData } from '../wire/extensions.js';
import { MAX_PACKET_LENGTH } from '../wire/framing.js';

export interface Limits {
  /** The most bytes to ask for in one READ. */
  readonly maxReadLength: number;
  /** The most bytes to send in one WRITE. */
  readonly maxWriteLength: number;
  /** How many handles the server keeps open for us; `undefined` where it does not tell. */
  readonly maxOpenHandles: number | undefined;
}

/** Every server must take packets of 34,000 bytes (the draft, section 3), that is 32 KiB of content. */
export const DEFAULT_LIMITS: Limits = {
  maxReadLength: 32 * 1024,
  maxWriteLength: 32 * 1024,
  maxOpenHandles: undefined,
};

/** Room for a header with the longest handle, as OpenSSH leaves it. */
const HEADER_ROOM = 1024;
const MAX_CONTENT_LENGTH = MAX_PACKET_LENGTH - HEADER_ROOM;
/** Below this a "limit" is a mistake or an attack, and transfers would never end. */
const MIN_CONTENT_LENGTH = 1024;

/** A figure of 0 means that the server does not tell; no figure is believed beyond our own packet size. */
export function limitsFrom(told: ExtensionData<'limits'>): Limits {
  const content = (length: bigint, fallback: number) => {
    if (length === 0n) return fallback;
    return Math.max(MIN_CONTENT_LENGTH, Math.min(Number(length), MAX_CONTENT_LENGTH));
  };
  return {
    maxReadLength: content(told.maxReadLength, DEFAULT_LIMITS.maxReadLength),
    maxWriteLength: content(told.maxWriteLength, DEFAULT_LIMITS.maxWriteLength),
    maxOpenHandles: told.maxOpenHandles === 0n ? undefined : clampHandles(told.maxOpenHandles),
  };
}

function clampHandles(count: bigint): number {
  return Math.min(Number(count), 65_536);
}
