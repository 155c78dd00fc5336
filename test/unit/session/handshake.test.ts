import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { ConnectionLostError, ProtocolError } from '../../../src/errors.js';
import { initPacket } from '../../../src/session/handshake.js';
import { Session, type SessionOptions } from '../../../src/session/session.js';
import { converse, type ScriptedPeer } from '../../support/scripted-peer.js';
import { gate } from './conversation.js';

/** What `Session.open` rejects with after what the script does; the stream is destroyed then. */
function failedOpening(
  script: (peer: ScriptedPeer) => void | Promise<void>,
  options: SessionOptions = {},
): Promise<Error> {
  return converse(
    async (peer) => {
      await peer.expectInit();
      await script(peer);
      await peer.closed;
    },
    async (stream) => {
      const error = await Session.open(stream, options).then(
        () => assert.fail('the session opened'),
        (reason: Error) => reason,
      );
      assert.ok(stream.destroyed);
      return error;
    },
  );
}

describe('the handshake', () => {
  test('sends INIT of version 3 and takes VERSION with its extensions', async () => {
    await converse(
      async (peer) => {
        await peer.expectInit();
        assert.deepEqual(peer.chunkLengths, [9]);
        peer.version(3, { 'a@b': '1', binary: Uint8Array.of(0xff) });
      },
      async (stream) => {
        const session = await Session.open(stream);
        assert.deepEqual(
          [...session.extensions],
          [
            ['a@b', Uint8Array.from(Buffer.from('1'))],
            ['binary', Uint8Array.of(0xff)],
          ],
        );
        assert.equal(session.endReason, undefined);
      },
    );
  });

  for (const version of [0, 2, 4, 6, 2 ** 32 - 1]) {
    test(`P5: refuses version ${version}`, async () => {
      const error = await failedOpening((peer) => peer.version(version));
      assert.ok(error instanceof ProtocolError);
      assert.equal(error.message, `The server speaks SFTP version ${version}; version 3 is needed`);
    });
  }

  test('P5: refuses a second VERSION in the same piece', async () => {
    const error = await failedOpening((peer) => peer.send('00000005 02 00000003 00000005 02 00000003'));
    assert.ok(error instanceof ProtocolError);
    assert.equal(error.message, 'The server sent a packet before the handshake was complete');
  });

  test('P5: a second VERSION later ends the session', async () => {
    await converse(
      async (peer) => {
        await peer.handshake();
        peer.version(3);
        await peer.closed;
      },
      async (stream) => {
        const session = await Session.open(stream);
        const reason = await session.closed;
        assert.ok(reason instanceof ProtocolError);
        assert.equal(reason.message, 'A packet of type 2 is not allowed here');
      },
    );
  });

  test('P6: refuses any other packet in the place of VERSION', async () => {
    const error = await failedOpening((peer) => peer.sendPacket(101, '00000000 00000000'));
    assert.ok(error instanceof ProtocolError);
    assert.equal(error.message, 'Expected VERSION (2) and got a packet of type 101');
  });

  test('P17: refuses an extension that is longer than its packet', async () => {
    const error = await failedOpening((peer) => peer.sendPacket(2, '00000003 ffffffff 61'));
    assert.ok(error instanceof ProtocolError);
    assert.match(error.message, /4294967295 bytes does not fit/);
  });

  test('says INIT no second time where it has been sent before', async () => {
    await converse(
      async (peer) => {
        await peer.expectInit();
        peer.version(3);
        (await peer.expect('remove', { path: 'a' })).status(0);
      },
      async (stream) => {
        stream.write(initPacket());
        const session = await Session.open(stream, { isInitSent: true });
        await session.request('remove', { path: Buffer.from('a') }, () => {});
        session.destroy(new Error('done'));
      },
    );
  });

  test('P2: takes VERSION byte by byte', async () => {
    await converse(
      async (peer) => {
        await peer.expectInit();
        const version = Buffer.from('0000000e020000000300000001780000000000', 'hex');
        for (const byte of version.subarray(0, 18)) peer.send(Uint8Array.of(byte));
      },
      async (stream) => {
        const { extensions } = await Session.open(stream);
        assert.deepEqual([...extensions], [['x', new Uint8Array()]]);
      },
    );
  });

  const greetings: readonly (readonly [what: string, sent: string, quoted: string])[] = [
    ['English', 'Welcome to host\r\n', 'Welcome to host\\r\\n'],
    ['shorter than a length', 'hi\n', 'hi\\n'],
    ['that starts with an empty line', '\n\nLast login: today\n', '\\n\\nLast login: today\\n'],
    ['that clears the screen', '\x1b[2J\x1b[31mStop', '\\x1b[2J\\x1b[31mStop'],
    ['Russian', 'Добро пожаловать', 'Добро пожаловать'],
    ['drawn as a box', '╔══╗', '╔══╗'],
  ];
  for (const [what, sent, quoted] of greetings) {
    test(`P4: quotes a greeting that is ${what}`, async () => {
      const error = await failedOpening((peer) => {
        peer.send(Buffer.from(sent));
        peer.end();
      });
      assert.ok(error instanceof ProtocolError);
      assert.equal(
        error.message,
        `The server sent text instead of SFTP: "${quoted}". A start-up file of the login shell on the server ` +
          'prints it, or this account may not use SFTP; `ssh HOST true` must print nothing',
      );
      assert.ok(error.cause instanceof Error);
    });
  }

  test('P4: quotes no more than 200 characters of a greeting, in whatever pieces it comes', async () => {
    const error = await failedOpening(async (peer) => {
      peer.send(Buffer.from('Wel'));
      await new Promise((resolve) => setImmediate(resolve));
      peer.send(Buffer.from('come '.repeat(100_000)));
    });
    assert.match(error.message, /"Welcome (come ){38}co… \(\d+ more characters\)"/);
    assert.ok(error.message.length < 1024);
  });

  for (const garbage of ['ffffffff ffffffff', '7fffffff 00', '00000000', '00040001 02', '80818283 84']) {
    test(`P1: takes ${garbage} for garbage and not for text`, async () => {
      const error = await failedOpening((peer) => peer.send(garbage));
      assert.ok(error instanceof ProtocolError);
      assert.match(error.message, /^A packet of \d+ bytes: 1 to 262144 are allowed$/);
    });
  }

  const cuts: readonly (readonly [where: string, bytes: string, message: string])[] = [
    ['before VERSION', '', 'The server ended the SFTP session'],
    ['inside the length', '0000', 'The server ended the SFTP session in the middle of a packet'],
    ['inside VERSION', '00000005 02', 'The server ended the SFTP session in the middle of a packet'],
  ];
  for (const [where, bytes, message] of cuts) {
    test(`P3: an end ${where} is a lost connection`, async () => {
      const error = await failedOpening((peer) => {
        peer.send(bytes);
        peer.end();
      });
      assert.ok(error instanceof ConnectionLostError);
      assert.equal(error.message, message);
      assert.equal(error.code, 'CONNECTION_LOST');
    });
  }

  test('an error of the stream is a lost connection, with its cause', async () => {
    const cause = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    const error = await failedOpening((peer) => peer.cut(cause));
    assert.ok(error instanceof ConnectionLostError);
    assert.equal(error.message, 'The connection to the server was lost: read ECONNRESET');
    assert.equal(error.cause, cause);
  });

  test('P24: no answer is a timeout', async () => {
    const error = await failedOpening(() => {}, { handshakeTimeoutMs: 20 });
    assert.ok(error instanceof ConnectionLostError);
    assert.equal(error.code, 'ETIMEDOUT');
    assert.equal(error.message, 'The server did not answer the start of SFTP within 0.02 s');
  });

  test('an abort ends it with the reason of the signal', async () => {
    const controller = new AbortController();
    const reason = new Error('not any more');
    const error = await failedOpening(() => controller.abort(reason), { signal: controller.signal });
    assert.equal(error, reason);
  });

  test('an abort before it touches nothing', async () => {
    const reason = new Error('never');
    await converse(
      async () => {},
      async (stream) => {
        await assert.rejects(Session.open(stream, { signal: AbortSignal.abort(reason) }), reason);
        assert.equal(stream.destroyed, false);
      },
    );
  });

  test('an abort after it does nothing', async () => {
    const controller = new AbortController();
    await converse(
      (peer) => peer.handshake(),
      async (stream) => {
        const session = await Session.open(stream, { signal: controller.signal });
        await new Promise((resolve) => setImmediate(resolve));
        controller.abort();
        assert.equal(session.endReason, undefined);
        assert.equal(stream.destroyed, false);
      },
    );
  });

  test('the deadline does not reach into the session', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const late = gate();
    await converse(
      async (peer) => {
        await peer.handshake();
        await late.opened;
        (await peer.expect('stat')).attributes({});
      },
      async (stream) => {
        const session = await Session.open(stream, { handshakeTimeoutMs: 1000 });
        t.mock.timers.tick(2000);
        assert.equal(session.endReason, undefined);
        late.open();
        await session.request('stat', { path: Buffer.from('/') }, () => undefined);
      },
    );
  });

  test('fails at once over a stream that is destroyed or at its end already', async () => {
    const lost = { name: 'ConnectionLostError', message: 'The server ended the SFTP session' };
    const destroyed = new PassThrough();
    destroyed.destroy();
    await assert.rejects(Session.open(destroyed), lost);
    const ended = new PassThrough();
    ended.resume().end();
    await new Promise((resolve) => ended.once('end', resolve));
    await assert.rejects(Session.open(ended), lost);
  });
});
