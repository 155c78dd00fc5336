/** One job of one contestant, once, with every byte of what arrived compared. */
import { mkdirSync } from 'node:fs';
import { type Data, removeCopy } from './data.js';
import { type Measurement, measure } from './measure.js';
import { type Command, type Job, type Peer, peers } from './peers.js';
import type { BenchServer } from './server.js';

export interface Contestant {
  readonly name: string;
  readonly command: Command;
  /** What it moves, where that is not what the others move. */
  readonly data?: Data;
}

export interface Work {
  readonly job: Job;
  readonly data: Data;
  /** Where the data is, and where it goes. */
  readonly original: string;
  readonly copy: string;
  readonly limitSeconds?: number | undefined;
}

const READERS: ReadonlySet<Job> = new Set([
  ...(['get', 'getTree', 'getStream', 'getStreamSmall', 'getAndStat', 'list', 'walk'] as const),
]);

export async function runOnce(command: Command, work: Work, server: BenchServer): Promise<Measurement> {
  const { job, data, original, copy, limitSeconds } = work;
  const reads = READERS.has(job);
  removeCopy(copy);
  if (job === 'getTree' || job === 'putTree') mkdirSync(copy);
  const paths = reads ? { local: copy, remote: original } : { local: original, remote: copy };
  const options = { env: server.env, bytes: data.bytes, limitSeconds };
  const measurement = await measure([...(server.prefix ?? []), ...command(paths, server)], options);
  data.compare?.(original, copy);
  removeCopy(copy);
  return measurement;
}

/** Those on this machine that do a job, ours first. */
export function contestants(job: Job, isWanted: (name: string) => boolean): readonly Contestant[] {
  return peers
    .filter(({ name, isPresent }) => isWanted(name) && isPresent())
    .flatMap((peer) => contestant(peer, job, peer.name));
}

export function contestant(peer: Peer, job: Job, name: string): readonly Contestant[] {
  const command = peer.commands[job];
  return command === undefined ? [] : [{ name, command }];
}
