import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { ConnectionLostError, ProtocolError, TimeoutError } from '../../../src/errors.js';
import { OPEN_FLAGS, type SftpClient } from '../../../src/session/sftp-client.js';
import { extensions } from '../../../src/wire/extensions.js';
import { converseInSession, gate } from './conversation.js';

/** The way in which a promise has settled. */
async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => value,
    (reason) => reason,
  );
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('the end of a session', () => {
  test('gives every pending call, every later one and `closed` the same first reason', async () => {
    await converseInSession(
      async (peer) => {
        for (let call = 0; call < 3; call += 1) await peer.expect('stat');
        await peer.closed;
      },
      async ({ session, client }) => {
        const pending = [client.stat('/a'), client.stat('/b'), client.stat('/c')].map(outcome);
        await turn();
        const first = new Error('the first');
        session.destroy(first);
        session.destroy(new Error('the second'));
        const later = [
          client.stat('/d'),
          client.statvfs('/'),
          client.close({ bytes: Buffer.of(1), path: '' }),
        ];
        for (const reason of await Promise.all(pending)) assert.equal(reason, first);
        assert.equal(await outcome(later[0] ?? Promise.resolve()), first);
        assert.equal(((await outcome(later[1] ?? Promise.resolve())) as Error).name, 'UnsupportedError');
        assert.equal(await outcome(later[2] ?? Promise.resolve()), first);
        assert.equal(await session.closed, first);
        assert.equal(session.endReason, first);
        assert.equal(session.pendingCount, 0);
      },
    );
  });

  test('P3: comes with the end of the stream, inside a packet or between two', async () => {
    for (const [cut, message] of [
      ['', 'The server ended the SFTP session'],
      ['0000', 'The server ended the SFTP session in the middle of a packet'],
      ['00000010 65 0000', 'The server ended the SFTP session in the middle of a packet'],
    ] as const) {
      await converseInSession(
        async (peer) => {
          await peer.expect('stat');
          peer.send(cut);
          peer.end();
        },
        async ({ client }) => {
          await assert.rejects(client.stat('/'), (error) => {
            assert.ok(error instanceof ConnectionLostError);
            assert.equal(error.message, message);
            return true;
          });
        },
      );
    }
  });

  test('comes with an error of the stream, once', async () => {
    const cause = new Error('write EPIPE');
    await converseInSession(
      async (peer) => {
        await peer.expect('stat');
        peer.cut(cause);
      },
      async ({ session, client }) => {
        const reason = await outcome(client.stat('/'));
        assert.ok(reason instanceof ConnectionLostError);
        assert.equal(reason.cause, cause);
        assert.equal(await session.closed, reason);
      },
    );
  });

  test('makes nothing of what comes behind the packet that broke the protocol', async () => {
    await converseInSession(
      async (peer) => {
        const [first, second] = [await peer.expect('stat'), await peer.expect('stat')];
        // One piece: an unknown type, then a reply that would be right.
        peer.send(`00000005 09 00000000  00000009 69 ${hex(second.id)} 00000000`);
        assert.equal(second.id, first.id + 1);
        await peer.closed;
      },
      async ({ client }) => {
        const [first, second] = await Promise.all([client.stat('/a'), client.stat('/b')].map(outcome));
        assert.ok(first instanceof ProtocolError);
        assert.equal(second, first);
      },
    );
  });
});

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

describe('an aborted call', () => {
  test('rejects with the reason at once; the late reply is swallowed once', async () => {
    const answer = gate();
    await converseInSession(
      async (peer) => {
        const late = await peer.expect('stat', { path: '/late' });
        await answer.opened;
        late.attributes({ size: 1 });
        (await peer.expect('stat', { path: '/next' })).attributes({ size: 2 });
      },
      async ({ session, client }) => {
        const controller = new AbortController();
        const call = outcome(client.stat('/late', { signal: controller.signal }));
        await turn();
        controller.abort('why not');
        assert.equal(await call, 'why not');
        assert.equal(session.pendingCount, 1);
        answer.open();
        assert.equal((await client.stat('/next')).size, 2);
        assert.equal(session.pendingCount, 0);
        assert.equal(session.endReason, undefined);
      },
    );
  });

  test('P8: a second reply to it breaks the protocol', async () => {
    const answer = gate();
    await converseInSession(
      async (peer) => {
        const late = await peer.expect('stat');
        await answer.opened;
        late.attributes({});
        late.attributes({});
        await peer.closed;
      },
      async ({ session, client }) => {
        const controller = new AbortController();
        const call = outcome(client.stat('/late', { signal: controller.signal }));
        await turn();
        controller.abort();
        await call;
        answer.open();
        assert.ok((await session.closed) instanceof ProtocolError);
      },
    );
  });

  for (const operation of ['open', 'opendir'] as const) {
    test(`P8: a late HANDLE of ${operation} is closed`, async () => {
      const answer = gate();
      await converseInSession(
        async (peer) => {
          const late = await peer.expect(operation);
          await answer.opened;
          late.handle('late');
          (await peer.expect('close', { handle: 'late' })).status(4, 'a failure here concerns nobody');
          (await peer.expect('stat')).attributes({});
        },
        async ({ session, client }) => {
          const controller = new AbortController();
          const options = { signal: controller.signal };
          const opening =
            operation === 'open' ? client.open('/f', 1, options) : client.opendir('/f', options);
          const call = outcome(opening);
          await turn();
          controller.abort();
          assert.equal(((await call) as Error).name, 'AbortError');
          answer.open();
          while (session.pendingCount > 0) await turn();
          await client.stat('/');
          assert.equal(session.pendingCount, 0);
        },
      );
    });
  }

  test('in the turn of the call is not sent any more, unless it is encoded already', async () => {
    const controller = new AbortController();
    await converseInSession(
      async (peer) => {
        (await peer.expect('stat', { path: '/a' })).attributes({});
        (await peer.expect('stat', { path: '/b' })).attributes({});
      },
      async ({ session, client }) => {
        const call = outcome(client.stat('/a', { signal: controller.signal }));
        controller.abort();
        assert.equal(((await call) as Error).name, 'AbortError');
        await client.stat('/b');
        assert.equal(session.pendingCount, 0);
      },
    );
  });

  test('that has its reply already keeps it', async () => {
    const controller = new AbortController();
    await converseInSession(
      async (peer) => (await peer.expect('stat')).attributes({ size: 5 }),
      async ({ client }) => {
        const attributes = await client.stat('/', { signal: controller.signal });
        controller.abort();
        assert.equal(attributes.size, 5);
      },
    );
  });

  test('leaves no listener behind, nor does one that ended in any other way', async () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...parameters: Parameters<typeof addEventListener>) => {
      listeners += 1;
      addEventListener.apply(signal, parameters);
    };
    signal.removeEventListener = (...parameters: Parameters<typeof removeEventListener>) => {
      listeners -= 1;
      removeEventListener.apply(signal, parameters);
    };
    await converseInSession(
      async (peer) => {
        (await peer.expect('stat')).attributes({});
        (await peer.expect('stat')).status(2);
        await peer.expect('stat');
        await peer.expect('stat');
        peer.cut();
      },
      async ({ session, client }) => {
        await client.stat('/', { signal });
        await outcome(client.stat('/', { signal }));
        session.timeoutMs = 10;
        assert.ok((await outcome(client.stat('/', { signal }))) instanceof TimeoutError);
        session.timeoutMs = null;
        const last = outcome(client.stat('/', { signal }));
        await outcome(client.setstat('/', { mode: -1 }, { signal }));
        assert.ok((await last) instanceof ConnectionLostError);
        assert.equal(listeners, 0);
      },
    );
  });
});

describe('the time of one call', () => {
  test('P24: ends it with a TimeoutError that names it, and the session stays usable', async () => {
    const answer = gate();
    await converseInSession(
      async (peer) => {
        const late = await peer.expect('rename');
        (await peer.expect('stat')).attributes({ size: 3 });
        await answer.opened;
        late.ok();
        (await peer.expect('stat')).attributes({ size: 4 });
      },
      async ({ session, client }) => {
        const error = await outcome(client.rename('/a\x1b', '/b'));
        assert.ok(error instanceof TimeoutError);
        assert.equal(error.message, "rename '/a\\x1b' to '/b': no reply from the server within 20 ms");
        session.timeoutMs = null;
        assert.equal((await client.stat('/')).size, 3);
        answer.open();
        assert.equal((await client.stat('/')).size, 4);
        assert.equal(session.pendingCount, 0);
      },
      { timeoutMs: 20 },
    );
  });

  test('closes the handle of an OPEN that was answered too late', async () => {
    const answer = gate();
    await converseInSession(
      async (peer) => {
        const late = await peer.expect('open', { flags: OPEN_FLAGS.READ });
        await answer.opened;
        late.handle('h');
        (await peer.expect('close', { handle: 'h' })).ok();
      },
      async ({ session, client }) => {
        assert.ok((await outcome(client.open('/f', OPEN_FLAGS.READ))) instanceof TimeoutError);
        answer.open();
        while (session.pendingCount > 0) await turn();
      },
      { timeoutMs: 20 },
    );
  });
});

describe('a session without progress', () => {
  test('P24: ends when calls are pending and no byte moves', async () => {
    await converseInSession(
      async (peer) => {
        await peer.expect('stat');
        await peer.closed;
      },
      async ({ session, client }) => {
        const reason = await outcome(client.stat('/'));
        assert.ok(reason instanceof ConnectionLostError);
        assert.equal(reason.code, 'ETIMEDOUT');
        assert.equal(
          reason.message,
          'The server has not answered for 0.03 s, and the connection was given up',
        );
        assert.equal(await session.closed, reason);
      },
      { noProgressTimeoutMs: 30 },
    );
  });

  for (const operation of ['copyData', 'fsync'] as const) {
    test(`is not one in which the server is at work on ${operation}, and is one after that`, async () => {
      const handle = { bytes: Buffer.from('h'), path: '/f' };
      const calls = {
        copyData: (client: SftpClient) =>
          client.copyData({ handle, offset: 0, length: 0 }, { handle, offset: 9 }),
        fsync: (client: SftpClient) => client.fsync(handle),
      };
      await converseInSession(
        async (peer) => {
          const long = await peer.expectExtension(operation);
          const other = await peer.expect('stat');
          await new Promise((resolve) => setTimeout(resolve, 200));
          other.attributes({ size: 1 });
          long.ok();
          await peer.expect('stat');
          await peer.closed;
        },
        async ({ client }) => {
          await Promise.all([calls[operation](client), client.stat('/')]);
          assert.equal(((await outcome(client.stat('/'))) as ConnectionLostError).code, 'ETIMEDOUT');
        },
        { noProgressTimeoutMs: 30, extensions: { [extensions[operation].name]: '1' } },
      );
    });
  }

  test('may be waited for as long as it takes: no timer fires at once', async () => {
    for (const timeoutMs of [Number.POSITIVE_INFINITY, 2 ** 31, 1e300]) {
      await converseInSession(
        async (peer) => {
          const stat = await peer.expect('stat');
          await new Promise((resolve) => setTimeout(resolve, 20));
          stat.attributes({ size: 1 });
        },
        ({ client }) => client.stat('/'),
        { timeoutMs, noProgressTimeoutMs: timeoutMs, handshakeTimeoutMs: timeoutMs },
      );
    }
  });

  test('is not one that has nothing to do, before and after a call', async () => {
    const idle = () => new Promise((resolve) => setTimeout(resolve, 60));
    await converseInSession(
      async (peer) => {
        for (const size of [1, 2, 3]) (await peer.expect('stat')).attributes({ size });
        await peer.expect('stat');
        await peer.closed;
      },
      async ({ session, client }) => {
        await idle();
        await client.stat('/');
        await client.stat('/');
        await idle();
        await client.stat('/');
        assert.equal(session.endReason, undefined);
        // And it is watched again.
        assert.equal(((await outcome(client.stat('/'))) as ConnectionLostError).code, 'ETIMEDOUT');
      },
      { noProgressTimeoutMs: 30 },
    );
  });

  test('is not one in which a reply trickles in', async () => {
    await converseInSession(
      async (peer) => {
        const { id } = await peer.expect('stat');
        for (const byte of Buffer.from(`00000009 69 ${hex(id)} 00000000`.replaceAll(' ', ''), 'hex')) {
          await new Promise((resolve) => setTimeout(resolve, 50));
          peer.send(Uint8Array.of(byte));
        }
      },
      ({ client }) => client.stat('/'),
      { noProgressTimeoutMs: 400 },
    );
  });

  test('keeps nothing alive by its watch: a session that waits does not hold the process', async () => {
    await converseInSession(
      async (peer) => (await peer.expect('stat')).attributes({}),
      async ({ client }) => {
        const countTimers = () =>
          process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
        const before = countTimers();
        await client.stat('/');
        assert.equal(countTimers(), before);
      },
    );
  });
});

describe('request ids', () => {
  test('P23: wrap at 2^32', async () => {
    const ids: number[] = [];
    await converseInSession(
      async (peer) => {
        for (let call = 0; call < 4; call += 1) {
          const request = await peer.expect('stat');
          ids.push(request.id);
          request.attributes({ size: call });
        }
      },
      async ({ client }) => {
        const calls = ['/0', '/1', '/2', '/3'].map((path) => client.stat(path));
        assert.deepEqual(
          (await Promise.all(calls)).map(({ size }) => size),
          [0, 1, 2, 3],
        );
        assert.deepEqual(ids, [2 ** 32 - 2, 2 ** 32 - 1, 0, 1]);
      },
      { requestIds: { first: 2 ** 32 - 2 } },
    );
  });

  test('P23: skip those that are in flight', async () => {
    const ids: number[] = [];
    await converseInSession(
      async (peer) => {
        const slow = await peer.expect('lstat');
        ids.push(slow.id);
        for (let call = 0; call < 5; call += 1) {
          const request = await peer.expect('stat');
          ids.push(request.id);
          request.attributes({});
        }
        slow.attributes({ size: 9 });
      },
      async ({ client }) => {
        const slow = client.lstat('/slow');
        for (let call = 0; call < 5; call += 1) await client.stat('/');
        assert.equal((await slow).size, 9);
        assert.deepEqual(ids, [1, 2, 3, 0, 2, 3]);
      },
      { requestIds: { first: 1, count: 4 } },
    );
  });

  test('P14: replies find their calls in any order', async () => {
    await converseInSession(
      async (peer) => {
        const requests = [];
        for (let call = 0; call < 5; call += 1)
          requests.push(await peer.expect('stat', { path: `/${call}` }));
        for (const index of [3, 0, 4, 2, 1]) requests[index]?.attributes({ size: index });
      },
      async ({ client }) => {
        const calls = [0, 1, 2, 3, 4].map((index) => client.stat(`/${index}`));
        const sizes = (await Promise.all(calls)).map(({ size }) => size);
        assert.deepEqual(sizes, [0, 1, 2, 3, 4]);
      },
    );
  });

  test('A4: 1,000 calls at once settle once each, with one signal and without a warning', async (t) => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    t.after(() => process.off('warning', onWarning));
    await converseInSession(
      async (peer) => {
        for (let call = 0; call < 1000; call += 1) {
          const request = await peer.expect('stat', { path: `/${call}` });
          if (call % 3 === 0) request.status(2);
          else if (call < 900) request.attributes({ size: call });
        }
        peer.end();
      },
      async ({ session, client }) => {
        const { signal } = new AbortController();
        const settled = new Array<number>(1000).fill(0);
        const results = await Promise.all(
          settled.map((_, call) =>
            client.stat(`/${call}`, { signal }).then(
              ({ size }) => {
                settled[call] = (settled[call] ?? 0) + 1;
                return size;
              },
              (error: Error) => {
                settled[call] = (settled[call] ?? 0) + 1;
                return error.name;
              },
            ),
          ),
        );
        const expected = (call: number) =>
          call % 3 === 0 ? 'SftpStatusError' : call < 900 ? call : 'ConnectionLostError';
        assert.deepEqual(
          results,
          results.map((_, call) => expected(call)),
        );
        assert.ok(settled.every((times) => times === 1));
        assert.equal(session.pendingCount, 0);
        await turn();
        assert.deepEqual(warnings, []);
      },
    );
  });
});

describe('a signal that many calls share', () => {
  test('ends those that are pending and no other, and may serve again', async () => {
    await converseInSession(
      async (peer) => {
        (await peer.expect('stat', { path: '/done' })).attributes({});
        for (const path of ['/a', '/b', '/c', '/own']) await peer.expect('stat', { path });
        (await peer.expect('stat', { path: '/else' })).attributes({ size: 1 });
        await peer.closed;
      },
      async ({ session, client }) => {
        const shared = new AbortController();
        const own = new AbortController();
        await client.stat('/done', { signal: shared.signal });
        const calls = ['/a', '/b', '/c'].map((path) => outcome(client.stat(path, { signal: shared.signal })));
        const other = outcome(client.stat('/own', { signal: own.signal }));
        await turn();
        const reason = new Error('enough');
        shared.abort(reason);
        assert.deepEqual(await Promise.all(calls), [reason, reason, reason]);
        assert.equal((await client.stat('/else')).size, 1);
        own.abort('own');
        assert.equal(await other, 'own');
        assert.equal(session.pendingCount, 4);
      },
    );
  });
});

describe('a call that is not answered while others are', () => {
  test('is given up after as long as a session may be silent, and the session lives', async () => {
    await converseInSession(
      async (peer) => {
        const lost = await peer.expect('stat', { path: '/lost' });
        for (let count = 0; count < 40; count += 1) {
          (await peer.expect('stat', { path: '/other' })).attributes({});
        }
        lost.attributes({});
        (await peer.expect('stat', { path: '/last' })).attributes({});
      },
      async ({ session, client }) => {
        const lost = outcome(client.stat('/lost'));
        for (let count = 0; count < 40; count += 1) {
          await client.stat('/other');
          await new Promise((resolve) => setTimeout(resolve, 15));
        }
        const error = await lost;
        assert.ok(error instanceof TimeoutError);
        assert.match(
          error.message,
          /^stat '\/lost': the server has not replied for 0\.3 s, but has replied to later /,
        );
        await client.stat('/last');
        assert.equal(session.endReason, undefined);
        assert.equal(session.pendingCount, 0);
      },
      { noProgressTimeoutMs: 300 },
    );
  });

  test('does not end the session when nothing else is asked, and a later silence does', async () => {
    await converseInSession(
      async (peer) => {
        await peer.expect('stat', { path: '/lost' });
        (await peer.expect('stat', { path: '/other' })).attributes({});
        await peer.expect('stat', { path: '/silence' });
        await peer.closed;
      },
      async ({ session, client }) => {
        const lost = outcome(client.stat('/lost'));
        await client.stat('/other');
        assert.ok((await lost) instanceof TimeoutError);
        assert.equal(session.endReason, undefined);
        const error = await outcome(client.stat('/silence'));
        assert.ok(error instanceof ConnectionLostError);
        assert.equal(error.code, 'ETIMEDOUT');
      },
      { noProgressTimeoutMs: 200 },
    );
  });
});
