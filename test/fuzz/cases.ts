/** What is fuzzed: each takes one seed, and throws where something is not as it must be. */
import { fuzzPacket } from './packets.js';
import { fuzzServer } from './server.js';
import { fuzzSession } from './session.js';
import { fuzzText } from './texts.js';

/** Gives the number of packets that were sent. */
export type FuzzCase = (seed: number) => number | Promise<number>;

export const cases = {
  packets: fuzzPacket,
  session: fuzzSession,
  texts: fuzzText,
  server: fuzzServer,
} as const satisfies Readonly<Record<string, FuzzCase>>;

export type CaseName = keyof typeof cases;
