// What lister and workers share: where Redis is, which servers there are, and how secrets are found.
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import type { HostOptions } from 'tsftp';
import { parseServer, type ServerDescription, type Step } from 'tsftp/jobs';

/** The data of a job: plain JSON, without secrets. */
export interface FetchJob {
  readonly server: ServerDescription;
  readonly step: Step;
}

interface Settings {
  readonly servers: readonly ServerDescription[];
  /** The directory of each server, and where what was fetched is moved to on the server. */
  readonly source: string;
  readonly done: string;
  /** The local directory; each server has one of its own below it. */
  readonly target: string;
}

/** A JSON file that may be in the repository: it has no secrets. */
export function readSettings(): Settings {
  const settings = JSON.parse(readFileSync(needed('QUEUE_SETTINGS'), 'utf8')) as Settings;
  return { ...settings, servers: settings.servers.map(parseServer) };
}

/** A JSON file that is not: what `connect` needs, by the names of the secrets. */
export function resolveServer({ host, port, username, secret, fingerprint }: ServerDescription): HostOptions {
  const secrets = JSON.parse(readFileSync(needed('QUEUE_SECRETS'), 'utf8')) as Record<string, object>;
  const cnopts = fingerprint === undefined ? {} : { fingerprint };
  return {
    host,
    username,
    ...(port && { port }),
    cnopts: { ...cnopts, agent: false },
    ...secrets[secret ?? ''],
  };
}

/** One queue for each server, so that a server that is down holds up no other. */
export function queueOf({ host, port = 22, username }: ServerDescription): string {
  return `fetch-${username}-${host}-${port}`;
}

export function folderOf(target: string, server: ServerDescription): string {
  return `${target}/${queueOf(server)}`;
}

/** BullMQ wants to wait for Redis for as long as it takes. */
export function connectRedis(): Redis {
  const redis = new Redis(needed('REDIS_URL'), { maxRetriesPerRequest: null });
  redis.on('error', (error) => console.error(`Redis: ${error.message}`));
  return redis;
}

function needed(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`Set ${name}; see README.md`);
  return value;
}
