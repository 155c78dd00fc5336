import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { ProtocolError, SftpStatusError } from '../../../src/errors.js';
import type { SftpClient } from '../../../src/session/sftp-client.js';
import type { ReceivedRequest, ScriptedPeer } from '../../support/scripted-peer.js';
import { converseInSession } from './conversation.js';

const handle = { bytes: Buffer.from('h'), path: '/f' };

/** The peer answers `call` with an attack: P! of the catalogue, that is a ProtocolError for all, and the end. */
async function breaksTheProtocol(
  call: (client: SftpClient) => Promise<unknown>,
  script: (peer: ScriptedPeer) => Promise<void>,
  message: RegExp,
): Promise<void> {
  await converseInSession(
    async (peer) => {
      await peer.expect('lstat', { path: '/pending' });
      await script(peer);
      await peer.closed;
    },
    async ({ session, client }) => {
      const pending = client.lstat('/pending').catch((error: unknown) => error);
      const reason = await call(client).then(
        () => assert.fail('the attack was taken for an answer'),
        (error: unknown) => error,
      );
      assert.ok(reason instanceof ProtocolError, String(reason));
      assert.match(reason.message, message);
      assert.equal(await pending, reason);
      assert.equal(await session.closed, reason);
      await assert.rejects(client.stat('/later'), reason);
    },
  );
}

const stat = (client: SftpClient) => client.stat('/f');
const hex = (value: number) => value.toString(16).padStart(8, '0');

describe('packets that are none', () => {
  for (const length of [0, 262_145, 0x7fffffff, 0xffffffff]) {
    test(`P1: a length of ${length}`, () =>
      breaksTheProtocol(
        stat,
        async (peer) => {
          await peer.expect('stat');
          peer.send(hex(length));
        },
        new RegExp(`^A packet of ${length} bytes: 1 to 262144 are allowed$`),
      ));
  }

  test('P1: a length of 262,144 is taken', async () => {
    await converseInSession(
      async (peer) => {
        const read = await peer.expect('read');
        read.data(Buffer.alloc(262_144 - 9, 7));
      },
      async ({ client }) => {
        const pieces = await client.read(handle, 0, 262_144);
        assert.deepEqual(Buffer.concat(pieces ?? []), Buffer.alloc(262_144 - 9, 7));
      },
    );
  });

  // Every type of a request, those of the handshake, and some that no version knows.
  for (const type of [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 17, 20, 21, 99, 100, 106, 199, 200, 202, 255]) {
    test(`P6: type ${type}`, () =>
      breaksTheProtocol(
        stat,
        async (peer) => {
          const { id } = await peer.expect('stat');
          peer.sendPacket(type, `${hex(id)} 00000000 00000000`);
        },
        new RegExp(`^A packet of type ${type} is not allowed here$`),
      ));
  }

  for (const type of [101, 102, 103, 104, 105, 201]) {
    test(`P3: a reply of type ${type} that ends inside its id`, () =>
      breaksTheProtocol(
        stat,
        async (peer) => {
          await peer.expect('stat');
          peer.sendPacket(type, '0000');
        },
        /^A field of 4 bytes does not fit: 2 bytes are left$/,
      ));
  }
});

describe('replies that nobody asked for', () => {
  test('P7: to an id that was never used', () =>
    breaksTheProtocol(
      stat,
      async (peer) => {
        await peer.expect('stat');
        peer.reply(4711, 'attrs', { attributes: {} });
      },
      /^Received a reply for the unknown request id 4711$/,
    ));

  test('P7: twice', async () => {
    await converseInSession(
      async (peer) => {
        const request = await peer.expect('stat');
        request.attributes({ size: 1 });
        request.attributes({ size: 2 });
        await peer.closed;
      },
      async ({ session, client }) => {
        assert.equal((await client.stat('/f')).size, 1);
        const reason = await session.closed;
        assert.ok(reason instanceof ProtocolError);
        assert.match(reason.message, /^Received a reply for the unknown request id \d+$/);
      },
    );
  });
});

describe('replies that say too much or too little', () => {
  const names = (...entries: string[]) => {
    return (request: ReceivedRequest<'realpath'> | ReceivedRequest<'readlink'>) => request.names(...entries);
  };
  const oneNameRows: readonly (readonly [what: string, entries: string[], message: RegExp])[] = [
    ['P9: no name', [], /^The server sent 0 names instead of one$/],
    ['P9: two names', ['/a', '/b'], /^The server sent 2 names instead of one$/],
    ['P10: an empty name', [''], /^The server sent a path that is empty or contains a NUL$/],
    ['P10: a name with a NUL', ['/a\0b'], /^The server sent a path that is empty or contains a NUL$/],
  ];
  for (const [what, entries, message] of oneNameRows) {
    test(`${what} for REALPATH`, () =>
      breaksTheProtocol(
        (client) => client.realpath('.'),
        async (peer) => names(...entries)(await peer.expect('realpath')),
        message,
      ));
    test(`${what} for READLINK`, () =>
      breaksTheProtocol(
        (client) => client.readlink('/l'),
        async (peer) => names(...entries)(await peer.expect('readlink')),
        message,
      ));
  }

  test('P11: DATA of one byte more than was asked for', () =>
    breaksTheProtocol(
      (client) => client.read(handle, 0, 4),
      async (peer) => (await peer.expect('read')).data('12345'),
      /^The server sent 5 bytes for a read of 4$/,
    ));

  test('P11: DATA whose length is beyond the packet', () =>
    breaksTheProtocol(
      (client) => client.read(handle, 0, 100),
      async (peer) => peer.sendPacket(103, `${hex((await peer.expect('read')).id)} 00000010 616263`),
      /^A field of 16 bytes does not fit: 3 bytes are left$/,
    ));

  test('P11, P12: DATA that is shorter, or empty, is the answer to this call', async () => {
    await converseInSession(
      async (peer) => {
        (await peer.expect('read')).data('ab');
        (await peer.expect('read')).data('');
      },
      async ({ client }) => {
        const content = async () => Buffer.concat((await client.read(handle, 0, 10)) ?? assert.fail());
        assert.equal(String(await content()), 'ab');
        assert.equal(String(await content()), '');
      },
    );
  });

  test('P11: DATA of length 0, twice for the same offset', () =>
    breaksTheProtocol(
      async (client) => {
        assert.equal(String(Buffer.concat((await client.read(handle, 0, 10)) ?? [])), 'ab');
        assert.equal(String(Buffer.concat((await client.read(handle, 2, 8)) ?? [])), '');
        return client.read(handle, 2, 8);
      },
      async (peer) => {
        (await peer.expect('read')).data('ab');
        (await peer.expect('read')).data('');
        (await peer.expect('read')).data('');
      },
      /^The server sent neither content nor the end of the file at offset 2$/,
    ));

  test('P17: a count of 2^32 - 1 extended attributes', () =>
    breaksTheProtocol(
      stat,
      async (peer) => peer.sendPacket(105, `${hex((await peer.expect('stat')).id)} 80000000 ffffffff`),
      /^A count of 4294967295 items does not fit into 0 bytes$/,
    ));

  test('P17: a size of 2^53', () =>
    breaksTheProtocol(
      stat,
      async (peer) =>
        peer.sendPacket(105, `${hex((await peer.expect('stat')).id)} 00000001 0020000000000000`),
      /^The number 9007199254740992 is beyond 2\^53 - 1$/,
    ));

  test('P17: a size of 2^53 - 1 is exact', async () => {
    await converseInSession(
      async (peer) => (await peer.expect('stat')).attributes({ size: 2 ** 53 - 1 }),
      async ({ client }) => assert.equal((await client.stat('/')).size, 2 ** 53 - 1),
    );
  });

  test('P19: a handle of 257 bytes', () =>
    breaksTheProtocol(
      (client) => client.open('/f', 1),
      async (peer) => (await peer.expect('open')).handle(Buffer.alloc(257)),
      /^A handle of 257 bytes: at most 256 are allowed$/,
    ));

  for (const length of [0, 1, 256]) {
    test(`P19: a handle of ${length} bytes is taken and used as it is`, async () => {
      const bytes = Buffer.alloc(length, 0xff);
      await converseInSession(
        async (peer) => {
          (await peer.expect('open')).handle(bytes);
          (await peer.expect('close', { handle: bytes })).ok();
        },
        async ({ client }) => client.close(await client.open('/f', 1)),
      );
    });
  }

  test('P22: READDIR with a count of 2^32 - 1', async () => {
    const started = performance.now();
    await breaksTheProtocol(
      (client) => client.readdir(handle),
      async (peer) => {
        const { id } = await peer.expect('readdir');
        peer.sendPacket(
          104,
          Buffer.concat([Buffer.from(`${hex(id)}ffffffff`, 'hex'), Buffer.alloc(200_000)]),
        );
      },
      /^A count of 4294967295 items does not fit into 200000 bytes$/,
    );
    // Far above what it takes, far below what four thousand million entries take.
    assert.ok(performance.now() - started < 5000);
  });

  test('P22: READDIR with a count that the packet could hold and does not', () =>
    breaksTheProtocol(
      (client) => client.readdir(handle),
      async (peer) => {
        const { id } = await peer.expect('readdir');
        peer.sendPacket(
          104,
          `${hex(id)} 00000002 00000000 00000000 00000000 0000000c 000000000000000000000000`,
        );
      },
      /does not fit/,
    ));
});

describe('the text of a failure', () => {
  async function failure(answer: (request: ReceivedRequest<'stat'>, peer: ScriptedPeer) => void) {
    return converseInSession(
      async (peer) => answer(await peer.expect('stat'), peer),
      async ({ session, client }) => {
        const error = await client.stat('/f').catch((reason: unknown) => reason);
        assert.ok(error instanceof SftpStatusError);
        assert.equal(session.endReason, undefined);
        return error;
      },
    );
  }

  test('P18: may be missing, with its language or alone', async () => {
    for (const tail of ['', '00000002 6e6f']) {
      const error = await failure((request, peer) =>
        peer.sendPacket(101, `${hex(request.id)} 00000002 ${tail}`),
      );
      assert.equal(error.code, 'ENOENT');
      const said = tail === '' ? '' : ', the server says: no';
      assert.equal(error.message, `stat '/f': no such file or directory (SSH_FX_NO_SUCH_FILE${said})`);
    }
  });

  test('P18: is at most 1 KiB and escaped, of 200 KB of escape sequences', async () => {
    const error = await failure((request) => request.status(4, '\x1b[2J\u202e'.repeat(28_000)));
    assert.ok(error.serverMessage.length <= 1024, `${error.serverMessage.length} characters`);
    assert.doesNotMatch(error.message, /[\p{Cc}\p{Cf}]/u);
    assert.match(error.serverMessage, /^\\x1b\[2J\\u202e/);
  });

  test('has a code and a name for numbers that no draft knows', async () => {
    for (const status of [32, 255, 2 ** 32 - 1]) {
      const error = await failure((request) => request.status(status));
      assert.equal(error.code, 'FAILURE');
      assert.equal(error.status, status);
      assert.equal(error.statusName, `SSH_FX_${status}`);
      assert.equal(error.operation, 'stat');
      assert.equal(error.path, '/f');
      assert.equal(error.message, `stat '/f': the server failed without saying why (SSH_FX_${status})`);
    }
  });
});
