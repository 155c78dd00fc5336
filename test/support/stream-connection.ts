/** The public face over any stream: what the server says is a test's own affair, and there is no SSH in between. */
import type { Duplex } from 'node:stream';
import { Link } from '../../src/connection/reconnect/link.js';
import { Connection } from '../../src/connection.js';
import { Session, type SessionOptions } from '../../src/session/session.js';
import type { SshConnection } from '../../src/ssh/ssh-connection.js';

/** Speaks the handshake and gives a connection; its `close` destroys the stream. `next` gives the stream of a further session. */
export async function openConnection(
  stream: Duplex,
  options: SessionOptions = {},
  next: () => Duplex = () => {
    throw new Error('There is one stream here');
  },
): Promise<Connection> {
  const session = await Session.open(stream, options);
  const openSession = async () => Session.open(next(), options);
  return new Connection(new Link({ ssh: fakeSsh(stream), session, openSession }), {
    logfile: false,
    securityOptions: { ciphers: [], digests: [], keyTypes: [], kex: [] },
  });
}

function fakeSsh(stream: Duplex): SshConnection {
  const closed = new Promise<undefined>((resolve) => stream.once('close', () => resolve(undefined)));
  const refuse = () => Promise.reject(new Error('There is no SSH here'));
  return {
    host: 'test',
    port: 22,
    username: 'me',
    negotiated: {
      ciphers: ['none', 'none'],
      macs: ['none', 'none'],
      compression: ['none', 'none'],
      kex: 'none',
      hostKeyAlgorithm: 'none',
    },
    securityOptions: { ciphers: [], digests: [], keyTypes: [], kex: [] },
    remoteServerKey: { type: 'none', bytes: new Uint8Array(), fingerprint: '' },
    closed,
    openSubsystem: refuse,
    openCommand: refuse,
    startCommand: refuse,
    close: async () => {
      stream.destroy();
      await closed;
    },
    destroy: () => void stream.destroy(),
  };
}
