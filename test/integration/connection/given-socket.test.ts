/** A stream of the program's own in place of TCP, as proxies give it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as dial, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type ConnectOptions, connect } from '../../../src/index.js';
import { startServer, type TestServer } from '../../../src/testing/index.js';

describe('The option socket', () => {
  const world: { server?: TestServer } = {};
  before(async () => {
    world.server = await startServer({ files: { 'a.txt': 'content' } });
  });
  after(() => world.server?.close());

  function open(more: ConnectOptions) {
    const { server } = world;
    assert.ok(server !== undefined);
    const { username, password, hostKey } = server;
    // A host that cannot be reached: only the socket leads to the server.
    const login = { port: 9, username, password, hostkeys: null, fingerprint: hostKey.fingerprint };
    return connect('sftp.invalid', { ...login, ...more });
  }

  function dialServer(): Socket {
    assert.ok(world.server !== undefined);
    return dial(world.server.port, world.server.host);
  }

  test('a Duplex is spoken over in place of TCP, and is closed with the connection', async () => {
    const socket = dialServer();
    const sftp = await open({ socket });
    assert.equal(await sftp.readFile('a.txt', 'utf8'), 'content');
    const closed = once(socket, 'close');
    await sftp.close();
    await closed;
  });

  test('a function makes a stream for each connection, also for one that is made again', async () => {
    const sockets: Socket[] = [];
    const socket = async () => {
      const made = dialServer();
      sockets.push(made);
      await once(made, 'connect');
      return made;
    };
    await using sftp = await open({ socket, retry: { attempts: 3, delay: 1 } });
    assert.equal(sockets.length, 1);
    sockets[0]?.destroy();
    await assert.doesNotReject(async () => {
      while (sockets.length < 2) await sftp.listdir().catch(() => {});
    });
    assert.deepEqual(await sftp.listdir(), ['a.txt']);
  });

  test('what the function throws is what connect rejects with', async () => {
    const reason = new Error('the proxy is down');
    const socket = () => Promise.reject(reason);
    await assert.rejects(open({ socket }), (error: unknown) => error === reason);
  });

  test('a function that gives no stream in time is given up on, and its late stream is destroyed', async () => {
    let give: (socket: Socket) => void = () => {};
    const socket = () => new Promise<Socket>((resolve) => (give = resolve));
    await assert.rejects(open({ socket, connectTimeout: 50 }), {
      name: 'ConnectionError',
      code: 'ETIMEDOUT',
      message: /The socket function did not give a stream to sftp\.invalid:9 within \d+(\.\d+)? ms/,
    });
    const late = dialServer();
    give(late);
    await once(late, 'close');
  });

  test('a stream that is closed already is told at once', async () => {
    const socket = dialServer();
    socket.destroy();
    await assert.rejects(open({ socket }), { name: 'ConnectionError', code: 'ECONNRESET' });
  });

  test('what is no stream is a TypeError, and so is one stream for several connections', async () => {
    await assert.rejects(open({ socket: 'proxy:1080' as never }), {
      name: 'TypeError',
      message: 'socket must be a Duplex or a function that makes one, not string',
    });
    await assert.rejects(open({ socket: () => 5 as never }), {
      name: 'TypeError',
      message: 'The socket function must give a Duplex, not number',
    });
    const socket = dialServer();
    await assert.rejects(open({ socket, retry: { attempts: 2 } }), {
      name: 'TypeError',
      message: /With retry, socket must be a function/,
    });
    socket.destroy();
  });

  test('the system ssh cannot take a stream or a list of keys, which is told', async () => {
    const refusal = { name: 'SshError', code: 'UNSUPPORTED_OPTION' };
    const transport = 'openssh';
    const hosts = { hostkeys: undefined };
    await assert.rejects(open({ ...hosts, transport, socket: () => dialServer() }), refusal);
    await assert.rejects(open({ ...hosts, transport, identityFiles: false }), refusal);
  });
});

describe('The option identityFiles', () => {
  test('false leaves the default keys alone, so that there may be nothing to log in with', async () => {
    const options = { username: 'me', agent: false, hostkeys: null, identityFiles: false } as const;
    await assert.rejects(connect('sftp.invalid', options), {
      name: 'CredentialError',
      code: 'NO_CREDENTIALS',
      message: 'No credentials: give password or privateKey, or start an agent that holds a key',
    });
  });

  test('a list names the keys to try', async () => {
    const options = {
      username: 'me',
      agent: false,
      hostkeys: null,
      identityFiles: ['/nowhere/key'],
    } as const;
    await assert.rejects(connect('sftp.invalid', options), /or make one of \/nowhere\/key$/);
    await assert.rejects(connect('sftp.invalid', { ...options, identityFiles: [5 as never] }), {
      name: 'TypeError',
      message: 'identityFiles must be a list of paths, or false for none',
    });
  });
});
