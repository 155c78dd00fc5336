import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { ProtocolError, SftpStatusError, UnsupportedError } from '../../../src/errors.js';
import { type RemoteHandle, SftpClient } from '../../../src/session/sftp-client.js';
import { extensions } from '../../../src/wire/extensions.js';
import { type AnyRequest, converseInSession, type Side } from './conversation.js';
import { type Operation, operations } from './operations.js';

/** Without `limits`, which the client would ask for by itself. */
const announced: Readonly<Record<string, string>> = Object.fromEntries(
  Object.values(extensions)
    .map(({ name }) => [name, '1'] as const)
    .filter(([name]) => name !== extensions.limits.name),
);

/** Runs one operation against one answer. */
function exchange<T>(
  operation: Operation,
  answer: (request: AnyRequest) => void,
  act: (side: Side) => Promise<T>,
): Promise<T> {
  const isLimits = operation === operations.fetchLimits;
  return converseInSession(
    async (peer) => {
      // The client's own question about limits is refused, so that the row's can be told from it.
      if (isLimits) (await peer.expectExtension('limits')).status(4);
      answer(await operation.expect(peer));
    },
    act,
    { extensions: isLimits ? { ...announced, [extensions.limits.name]: '1' } : announced },
  );
}

/** One reply of every kind. */
const replies: Readonly<Record<string, (request: AnyRequest) => void>> = {
  status: (request) => request.ok(),
  handle: (request) => request.handle('h'),
  data: (request) => request.data('d'),
  name: (request) => request.names('/n'),
  attrs: (request) => request.attributes({ size: 1 }),
  extendedReply: (request) => request.extended(Buffer.alloc(88)),
};

for (const [name, operation] of Object.entries(operations)) {
  describe(`SftpClient.${name}`, () => {
    test('sends exactly its request and takes its reply', async () => {
      const result = await exchange(operation, operation.answer, ({ client }) => operation.call(client));
      assert.deepEqual(operation.reply === 'handle' ? shownHandle(result) : result, operation.result);
    });

    test('rejects with a SftpStatusError on a failure, and the session goes on', async () => {
      await exchange(
        operation,
        (request) => request.status(3, 'no\x1b[2J'),
        async ({ session, client }) => {
          await assert.rejects(operation.call(client), (error) => {
            assert.ok(error instanceof SftpStatusError);
            const reason = 'permission denied (SSH_FX_PERMISSION_DENIED, the server says: no\\x1b[2J)';
            assert.equal(error.message, `${operation.subject}: ${reason}`);
            assert.equal(error.code, 'EACCES');
            assert.equal(error.serverMessage, 'no\\x1b[2J');
            return true;
          });
          assert.equal(session.endReason, undefined);
          assert.equal(session.pendingCount, 0);
        },
      );
    });

    test('takes EOF as the end where it reads and as a failure elsewhere', async () => {
      await exchange(
        operation,
        (request) => request.eof(),
        async ({ client }) => {
          if (operation.readsToTheEnd) assert.equal(await operation.call(client), null);
          else await assert.rejects(operation.call(client), { name: 'SftpStatusError', code: 'EOF' });
        },
      );
    });

    for (const [kind, reply] of Object.entries(replies).filter(([kind]) => kind !== operation.reply)) {
      test(`P9: ends the session on a reply of the kind ${kind}`, async () => {
        await exchange(operation, reply, async ({ session, client }) => {
          await assert.rejects(operation.call(client), (error) => {
            assert.ok(error instanceof ProtocolError);
            const asked = operation.subject.replace(/ '.*/, '');
            assert.equal(error.message, `Received ${kind.toUpperCase()} as the reply to ${asked}`);
            assert.equal(session.endReason, error);
            return true;
          });
        });
      });
    }

    test('sends nothing where the signal is aborted already', async () => {
      await converseInSession(
        async () => {},
        async ({ session }) => {
          const reason = new Error('enough');
          const client = new SftpClient({ session });
          const call = operation.call(client, { signal: AbortSignal.abort(reason) });
          if (name === 'fetchLimits') await assert.rejects(call, UnsupportedError);
          else await assert.rejects(call, reason);
        },
        { extensions: announced },
      );
    });
  });
}

describe('extensions that the server does not announce', () => {
  const calls = Object.entries(operations).filter(([name]) => name in extensions || name === 'fetchLimits');

  test('are refused without a packet', async () => {
    await converseInSession(
      async () => {},
      async ({ session, client }) => {
        for (const [name, operation] of calls) {
          const key = name === 'fetchLimits' ? 'limits' : (name as keyof typeof extensions);
          const extension = extensions[key].name;
          assert.equal(client.supports(key), false);
          await assert.rejects(operation.call(client), {
            name: 'UnsupportedError',
            code: 'ENOTSUP',
            extension,
            message: `The server does not support ${extension}`,
          });
        }
        assert.equal(calls.length, Object.keys(extensions).length);
        assert.equal(session.pendingCount, 0);
      },
    );
  });

  test('P21: one that is announced and not supported is a status', async () => {
    await converseInSession(
      async (peer) => {
        const request = await peer.expectExtension('statvfs', { path: '/' });
        request.status(8, 'Operation unsupported');
      },
      async ({ client }) => {
        assert.ok(client.supports('statvfs'));
        await assert.rejects(client.statvfs('/'), { name: 'SftpStatusError', code: 'ENOTSUP', status: 8 });
      },
      { extensions: { 'statvfs@openssh.com': '2' } },
    );
  });

  test('P21: one named __proto__ is a name like any other', async () => {
    const names = Object.fromEntries([
      ['__proto__', 'polluted'],
      ['constructor', '1'],
    ]);
    await converseInSession(
      async () => {},
      async ({ client }) => {
        assert.deepEqual(client.extensions, ['__proto__', 'constructor']);
        assert.equal(client.supports('limits'), false);
        assert.equal(({} as Record<string, unknown>).polluted, undefined);
      },
      { extensions: names },
    );
  });
});

const unsendable: readonly (readonly [what: string, value: unknown, error: object])[] = [
  ['a NUL', 'a\0b', { name: 'TypeError', message: /contains a NUL character$/ }],
  ['a NUL in bytes', Buffer.from([97, 0]), { name: 'TypeError', message: /contains a NUL character$/ }],
  ['a lone surrogate', 'a\ud800', { name: 'TypeError', message: /has a lone surrogate/ }],
  ['1 MB', 'x'.repeat(1e6), { name: 'RangeError', message: /has 1000000 bytes: at most 65536 are allowed$/ }],
  [
    'undefined',
    undefined,
    { name: 'TypeError', message: /must be a string or a Uint8Array, not undefined$/ },
  ],
  ['a number', 5, { name: 'TypeError', message: /must be a string or a Uint8Array, not number$/ }],
];
const empty = ['nothing', '', { name: 'TypeError', message: /is empty: use '.' for the current/ }] as const;

describe('A1: paths that cannot be sent', () => {
  type Call = (client: SftpClient, path: string) => Promise<unknown>;
  const calls: readonly (readonly [name: string, argument: string, call: Call])[] = [
    ['open', 'path', (client, path) => client.open(path, 1)],
    ['stat', 'path', (client, path) => client.stat(path)],
    ['lstat', 'path', (client, path) => client.lstat(path)],
    ['setstat', 'path', (client, path) => client.setstat(path, {})],
    ['opendir', 'path', (client, path) => client.opendir(path)],
    ['remove', 'path', (client, path) => client.remove(path)],
    ['mkdir', 'path', (client, path) => client.mkdir(path)],
    ['rmdir', 'path', (client, path) => client.rmdir(path)],
    ['realpath', 'path', (client, path) => client.realpath(path)],
    ['rename', 'path', (client, path) => client.rename(path, 'x')],
    ['rename', 'newPath', (client, path) => client.rename('x', path)],
    ['readlink', 'path', (client, path) => client.readlink(path)],
    ['symlink', 'targetPath', (client, path) => client.symlink(path, 'x')],
    ['symlink', 'linkPath', (client, path) => client.symlink('x', path)],
    ['posixRename', 'path', (client, path) => client.posixRename(path, 'x')],
    ['posixRename', 'newPath', (client, path) => client.posixRename('x', path)],
    ['hardlink', 'path', (client, path) => client.hardlink(path, 'x')],
    ['hardlink', 'newPath', (client, path) => client.hardlink('x', path)],
    ['statvfs', 'path', (client, path) => client.statvfs(path)],
    ['lsetstat', 'path', (client, path) => client.lsetstat(path, {})],
    ['expandPath', 'path', (client, path) => client.expandPath(path)],
    ['homeDirectory', 'username', (client, path) => client.homeDirectory(path)],
  ];

  for (const [name, argument, call] of calls) {
    test(`${name} rejects a bad ${argument}, never throws, and sends nothing`, async () => {
      await converseInSession(
        async () => {},
        async ({ session, client }) => {
          for (const [what, value, error] of [...unsendable, ...(name === 'homeDirectory' ? [] : [empty])]) {
            let promise: Promise<unknown> | undefined;
            assert.doesNotThrow(() => {
              promise = call(client, value as string);
            }, what);
            await assert.rejects(promise ?? Promise.resolve(), error);
            await assert.rejects(
              call(client, value as string),
              (caught: Error) => caught.message.startsWith(`${argument} `),
              what,
            );
          }
          assert.equal(session.pendingCount, 0);
          assert.equal(session.endReason, undefined);
        },
        { extensions: announced },
      );
    });
  }

  test('an empty user name asks for the home of who is logged in', async () => {
    await converseInSession(
      async (peer) => (await peer.expectExtension('homeDirectory', { username: '' })).names('/root'),
      async ({ client }) => assert.deepEqual(await client.homeDirectory(''), Buffer.from('/root')),
      { extensions: announced },
    );
  });
});

describe('numbers that do not fit into their field', () => {
  const handle = { bytes: Buffer.from('h'), path: '/f' };
  const calls: readonly (readonly [what: string, call: (client: SftpClient) => Promise<unknown>])[] = [
    ['a negative offset', (client) => client.read(handle, -1, 10)],
    ['an offset that is no number', (client) => client.write(handle, Number.NaN, [Buffer.from('x')])],
    ['a size that is no number', (client) => client.setstat('/f', { size: Number.NaN })],
    ['a mode that is no number', (client) => client.setstat('/f', { mode: Number.NaN })],
    ['an offset with a fraction', (client) => client.read(handle, 0.5, 10)],
    ['a length of 2^32', (client) => client.read(handle, 0, 2 ** 32)],
    ['an offset of 2^64', (client) => client.write(handle, 2 ** 64, [Buffer.from('x')])],
    ['a negative mode', (client) => client.setstat('/f', { mode: -1 })],
    ['an mtime of 2^32', (client) => client.fsetstat(handle, { atime: 0, mtime: 2 ** 32 })],
    ['a packet of more than 256 KiB', (client) => client.write(handle, 0, [Buffer.alloc(262_144)])],
    ['flags of 2^40', (client) => client.open('/f', 2 ** 40)],
    ['a negative uid', (client) => client.usersGroupsById([-1], [])],
    [
      'a negative offset of copy-data',
      (client) => client.copyData({ handle, offset: -1, length: 1 }, { handle, offset: 0 }),
    ],
  ];

  for (const [what, call] of calls) {
    test(`reject with a RangeError and leave the session whole: ${what}`, async () => {
      await converseInSession(
        async (peer) => {
          await peer.expect('stat', { path: '/before' });
          const after = await peer.expect('stat', { path: '/after' });
          after.attributes({ size: 1 });
        },
        async ({ session, client }) => {
          // Never answered: it is still whole after the other call has failed.
          client.stat('/before').catch(() => {});
          await assert.rejects(call(client), RangeError);
          assert.equal((await client.stat('/after')).size, 1);
          assert.equal(session.pendingCount, 1);
        },
        { extensions: announced },
      );
    });
  }
});

describe('the limits of a client', () => {
  const told = (maxReadLength: bigint) =>
    Buffer.concat(
      [2n ** 18n, maxReadLength, 0n, 20n].map((figure) => {
        const bytes = Buffer.alloc(8);
        bytes.writeBigUInt64BE(figure);
        return bytes;
      }),
    );
  const extensionNames = { 'limits@openssh.com': '1' };

  test('are asked for where the server announces them, and the assumed ones until then', async () => {
    await converseInSession(
      async (peer) => {
        (await peer.expectExtension('limits')).extended(told(65_536n));
        (await peer.expect('stat')).attributes({});
      },
      async ({ client }) => {
        const assumed = { maxReadLength: 32_768, maxWriteLength: 32_768, maxOpenHandles: undefined };
        assert.deepEqual(client.limits, assumed);
        await client.stat('/');
        assert.deepEqual(client.limits, { ...assumed, maxReadLength: 65_536, maxOpenHandles: 20 });
      },
      { extensions: extensionNames },
    );
  });

  test('stay the assumed ones where the server announces them and refuses to tell', async () => {
    await converseInSession(
      async (peer) => {
        (await peer.expectExtension('limits')).status(8);
        (await peer.expect('stat')).attributes({});
      },
      async ({ client }) => {
        await client.stat('/');
        assert.equal(client.limits.maxReadLength, 32_768);
      },
      { extensions: extensionNames },
    );
  });

  test('that are cut short break the protocol', async () => {
    await converseInSession(
      async (peer) => (await peer.expectExtension('limits')).extended(told(1n).subarray(0, 31)),
      async ({ session }) => {
        const reason = await session.closed;
        assert.ok(reason instanceof ProtocolError);
      },
      { extensions: extensionNames },
    );
  });
});

/** A handle belongs to its session, which is no part of what it shows. */
function shownHandle(result: unknown) {
  const { bytes, path } = result as RemoteHandle;
  return { bytes, path };
}
