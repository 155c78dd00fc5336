/** How tests log in: to OpenSSH's server, and to the embedded one. */
import { type Connection, type ConnectOptions, connect } from '../../src/index.js';
import type { TestServer } from '../../src/testing/index.js';
import type { Sshd } from './sshd.js';

export function optionsForSshd(sshd: Sshd, more: ConnectOptions = {}): ConnectOptions {
  return {
    port: sshd.port,
    username: sshd.user,
    privateKey: sshd.privateKeyPath,
    cnopts: { knownhosts: sshd.knownHosts, agent: false },
    ...more,
  };
}

export function connectToSshd(sshd: Sshd, more: ConnectOptions = {}): Promise<Connection> {
  return connect(sshd.host, optionsForSshd(sshd, more));
}

export function connectToServer(server: TestServer, more: ConnectOptions = {}): Promise<Connection> {
  return connect(server.host, {
    port: server.port,
    username: server.username,
    password: server.password,
    cnopts: { fingerprint: server.hostKey.fingerprint, hostkeys: null },
    ...more,
  });
}
