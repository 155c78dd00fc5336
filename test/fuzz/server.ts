/** The embedded server against a client that sends valid and mutated requests: it answers or ends, and never throws. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { duplexPair } from 'node:stream';
import { createMemoryBackend } from '../../src/testing/backends/initial-files.js';
import { createCounters } from '../../src/testing/counters.js';
import { usualExtensions } from '../../src/testing/sftp/extension-handlers.js';
import { serveSftp } from '../../src/testing/sftp/sftp-service.js';
import { decodeReply } from '../../src/wire/codec.js';
import { FrameDecoder } from '../../src/wire/framing.js';
import { Random } from './random.js';
import { someRequest } from './replies.js';

const CAPACITY = 256 * 1024;
const DEADLINE_MS = 10_000;

export async function fuzzServer(seed: number): Promise<number> {
  const random = new Random(seed);
  const [client, end] = duplexPair();
  const counters = createCounters();
  const aborted = new AbortController();
  const ended = new Promise<void>((resolve) => {
    serveSftp(end, {
      backend: createMemoryBackend({ a: 'content', 'd/b': 'more' }, CAPACITY),
      home: '/',
      username: 'me',
      extensions: usualExtensions,
      faults: {},
      counters,
      disconnect: () => end.destroy(),
      signal: aborted.signal,
      onEnd: () => resolve(),
    });
  });
  const decoder = new FrameDecoder();
  client.on('error', () => {});
  client.on('data', (chunk: Buffer) => {
    // Whatever was asked, the server's own packets are sound.
    for (const frame of decoder.decode(chunk)) if (frame.type !== 2) decodeReply(frame);
  });
  client.write(Buffer.from('000000050100000003', 'hex'));
  const count = 1 + random.below(40);
  for (let id = 0; id < count && !client.destroyed; id += 1) {
    const request = someRequest(random, random.chance(95) ? id : random.uint32());
    if (client.writable) client.write(random.chance(4) ? random.mutate(request) : request);
  }
  client.end();
  const timer = setTimeout(() => aborted.abort(), DEADLINE_MS);
  await ended;
  clearTimeout(timer);
  client.destroy();
  assert.ok(!aborted.signal.aborted, 'the session did not end: a hang');
  assert.equal(counters.openHandles, 0);
  return count;
}
