/**
 * Logging in with ssh2 in fewer round trips, and as the guards want it: more of the parts that its types leave out.
 * Where one of those that save time is missing, ssh2 goes its own way.
 */
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import type { Client, ParsedKey } from 'ssh2';
import { inside, isExchangingKeys } from './ssh2-internals.js';

/** `COMPAT.IMPLY_RSA_SHA2_SIGALGS`: sign with SHA-2 also where the server does not say that it can verify it. */
const SHA2_FOR_RSA = 1 << 4;
/** What we call ourselves; ssh2 has to be told, in its option `ident`. */
export const SOFTWARE = 'tsftp';
/** RFC 4252, section 5. */
const LOGIN_SERVICE = 'ssh-userauth';
const HOST_KEYS = 'hostkeys-00@openssh.com';
/** SSH_MSG_IGNORE with nothing in it. */
const IGNORE = Buffer.from([2, 0, 0, 0, 0]);
/** With what an RSA key signs (RFC 8332, section 3); the other types have one hash each. */
const RSA_HASHES: Readonly<Record<string, string>> = {
  'rsa-sha2-256': 'sha256',
  'rsa-sha2-512': 'sha512',
  'ssh-rsa': 'sha1',
};

/** Without it ssh2 signs with SHA-1 for a server that does not list what it can verify. */
export function refuseSha1Signatures(client: Client): void {
  inside(client)._protocol._compatFlags |= SHA2_FOR_RSA;
}

/**
 * Tells of every refusal, and of every step that is not enough: of those after an attempt with a key of an agent, ssh2
 * tells neither that they succeeded nor which methods are left.
 */
export function listenToRefusals(
  client: Client,
  note: (methods: readonly string[], partial: boolean) => void,
): void {
  const { _handlers } = inside(client)._protocol;
  const pass = _handlers.USERAUTH_FAILURE;
  _handlers.USERAUTH_FAILURE = (protocol, methods, partial) => {
    note(methods, partial);
    pass(protocol, methods, partial);
  };
}

/**
 * Sends our identification before that of the server has come, as RFC 4253, section 4.2 has it; ssh2 is started only
 * then. The same line, which is then the first that ssh2 writes, goes no further.
 */
export function identify(socket: Duplex): void {
  let line = Buffer.from(`SSH-2.0-${SOFTWARE}\r\n`);
  socket.write(line);
  const { write } = socket;
  socket.write = (chunk: Buffer) => {
    const repeated = Math.min(chunk.length, line.length);
    if (!chunk.subarray(0, repeated).equals(line.subarray(0, repeated))) {
      socket.destroy(new Error('ssh2 gives another identification than it was told'));
      return false;
    }
    line = line.subarray(repeated);
    if (line.length === 0) socket.write = write;
    return chunk.length === repeated || socket.write(chunk.subarray(repeated));
  };
}

/**
 * Prepares to send the first attempt to log in right behind the request for that service, and not only once the server
 * has accepted it: a server reads the one before the other, and one that does not accept ends the connection (RFC 4253,
 * section 10). To be called in `handshake`; where ssh2 does not let us, it waits as ever.
 *
 * Gives the function that sends it, to be called when ssh2 has asked for the service. Where the answer has come first,
 * ssh2 has begun by itself, and the function does nothing: some runtimes read from the socket before they call it.
 */
export function prepareLogin(client: Client): () => void {
  const { _protocol } = inside(client);
  const handlers = _protocol._handlers;
  const begin = handlers?.SERVICE_ACCEPT;
  if (handlers === undefined || typeof begin !== 'function' || !canSendNothing(client)) return () => {};
  let hasBegun = false;
  const beginOnce = (service: string): boolean => {
    if (hasBegun) return false;
    hasBegun = true;
    begin(_protocol, service);
    return true;
  };
  // What the server says to an attempt under way begins nothing; but its answer to that may wait for our word.
  handlers.SERVICE_ACCEPT = (_, service) => {
    if (!beginOnce(service)) sendNothing(client);
  };
  return () => void beginOnce(LOGIN_SERVICE);
}

/**
 * Leaves the host keys that OpenSSH tells after the login (its PROTOCOL, section 2.5) at that: ssh2 asks for proofs of
 * them, which nobody waits for here, and the server's answer to whatever was asked meanwhile then comes behind them.
 */
export function forgoHostKeyProofs(client: Client): void {
  const handlers = inside(client)._protocol._handlers;
  const pass = handlers?.GLOBAL_REQUEST;
  if (handlers === undefined || typeof pass !== 'function' || !canSendNothing(client)) return;
  handlers.GLOBAL_REQUEST = (protocol, name, wantsReply, data) => {
    if (name === HOST_KEYS && !wantsReply) sendNothing(client);
    else pass(protocol, name, wantsReply, data);
  };
}

/**
 * A message without a meaning (RFC 4253, section 11.2), in place of an answer where there is none to give. Many servers
 * leave TCP to gather small packets (RFC 896), and what they say next waits until TCP has acknowledged what they said
 * last. Left to itself our side would take 40 ms or more for that.
 */
function sendNothing(client: Client): void {
  const { _protocol } = inside(client);
  if (_protocol._packetRW === undefined || isExchangingKeys(client)) return;
  const { write } = _protocol._packetRW;
  const start = write.allocStart;
  const packet = write.alloc(IGNORE.length);
  packet.set(IGNORE, start);
  _protocol._cipher.encrypt(write.finalize(packet));
}

function canSendNothing(client: Client): boolean {
  const { _cipher, _packetRW } = inside(client)._protocol;
  return [_cipher?.encrypt, _packetRW?.write?.alloc, _packetRW?.write?.finalize].every(
    (part) => typeof part === 'function',
  );
}

/**
 * Has a key sign at once, without the question before whether it would do (RFC 4252, section 7). If it cannot, or if
 * ssh2 does not let us, the question is asked as ever.
 */
export function signAtOnce(client: Client, key: ParsedKey): void {
  const { _protocol } = inside(client);
  const send = _protocol.authPK?.bind(_protocol);
  if (send === undefined) return;
  _protocol.authPK = (username, given, algorithm, sign) => {
    const ask = (): void => send(username, given, algorithm, sign);
    if (sign !== undefined || given !== key) {
      ask();
      return;
    }
    send(username, given, algorithm, (data, done) => {
      const signature = key.sign(data, RSA_HASHES[algorithm ?? '']);
      if (signature instanceof Error) ask();
      else done(signature);
    });
  };
}

/** RFC 4252, section 8. ssh2 has a callback for it, which forgets a password given by an `authHandler`. */
export function sendNewPassword(
  client: Client,
  login: { readonly username: string; readonly password: string; readonly newPassword: string },
): void {
  const { _protocol } = inside(client);
  // The question for another password was the answer to the first attempt, which ssh2 forgets to note.
  _protocol._authsQueue.shift();
  _protocol.authPassword(login.username, login.password, login.newPassword);
}
