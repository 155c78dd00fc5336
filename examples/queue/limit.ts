// A limit over all machines: a semaphore in Redis, whose places are given up by whoever does not renew them.
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Permit, ServerDescription } from 'tsftp/jobs';
import { queueOf } from './settings.js';

/** By the clock of Redis: those that have expired go, and there is a new one if there is room. */
const TAKE = `
  local t = redis.call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
  redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], 10 * tonumber(ARGV[3]))
  return 1`;

/** Only a place that is still ours is renewed. */
const RENEW = `
  local t = redis.call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  local until_ = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if not until_ or tonumber(until_) < now then return 0 end
  redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], 10 * tonumber(ARGV[2]))
  return 1`;

/**
 * For `acquire` of a ConnectionPool: MAX_CONNECTIONS to each server. After LIMIT_TTL_MS a place is free again whose holder is
 * silent. That must be longer than the server keeps the connection of a client that is silent (sshd: ClientAliveInterval
 * times ClientAliveCountMax), or there is one too many.
 */
export function limitAcrossMachines(redis: Redis) {
  const max = Number(process.env.MAX_CONNECTIONS ?? 4);
  const ttlMs = Number(process.env.LIMIT_TTL_MS ?? 60_000);
  return async (server: ServerDescription, { signal }: { readonly signal: AbortSignal }): Promise<Permit> => {
    const key = `limit:${queueOf(server)}`;
    const token = randomUUID();
    const most = Math.min(max, server.maxConnections ?? max);
    while ((await redis.eval(TAKE, 1, key, token, most, ttlMs)) !== 1) {
      await wait(100 + 200 * Math.random(), undefined, { signal });
    }
    const lost = new AbortController();
    const lose = () => lost.abort(new Error(`The place of ${key} was lost`));
    // Without news from Redis the connection is closed well before anybody else may get its place.
    const graceMs = 0.6 * ttlMs;
    let isReleased = false;
    let giveUp = setTimeout(lose, graceMs);
    const timer = setInterval(async () => {
      const sentMs = performance.now();
      const isOurs = await redis.eval(RENEW, 1, key, token, ttlMs).catch(() => undefined);
      if (isOurs === 0) lose();
      if (isOurs !== 1 || isReleased) return;
      clearTimeout(giveUp);
      giveUp = setTimeout(lose, Math.max(0, sentMs + graceMs - performance.now()));
    }, ttlMs / 10);
    return {
      lost: lost.signal,
      release: async () => {
        isReleased = true;
        clearInterval(timer);
        clearTimeout(giveUp);
        await redis.zrem(key, token);
      },
    };
  };
}
