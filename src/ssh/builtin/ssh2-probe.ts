/**
 * Sees, without a network, that the installed ssh2 is the one whose inside the guards lean on: all that they reach for is
 * there, and what they do with it has its effect. A guard that is silently off would be worse than no connection.
 */
import { Buffer } from 'node:buffer';
import { Duplex } from 'node:stream';
import ssh2, { type Client, type ConnectConfig } from 'ssh2';
import { SshError } from '../../errors.js';
import { KexInitReader } from './kexinit.js';
import {
  announceWindow,
  copyUnfinishedPacket,
  discardChannel,
  INITIAL_WINDOW,
  inside,
  isExchangingKeys,
  openSession,
  type RawChannel,
  replaceAllocation,
} from './ssh2-internals.js';
import {
  forgoHostKeyProofs,
  listenToRefusals,
  prepareLogin,
  refuseSha1Signatures,
  sendNewPassword,
  signAtOnce,
} from './ssh2-login.js';

/** As package.json has it. */
const VERSION = '1.17.0';
/** Numbers of messages (RFC 4250, section 4.1). */
const MESSAGE = { ignore: 2, login: 50, open: 90, adjust: 93, close: 97, request: 98 } as const;
const SERVERS_ID = 7;

type Module = Pick<typeof ssh2, 'Client' | 'utils'>;
type AnyHandler = (protocol: unknown, ...rest: readonly unknown[]) => void;

let isKnown = false;

/** Looks once. Throws `SshError` (`SSH2_UNUSABLE`). */
export function checkSsh2(): void {
  if (isKnown) return;
  probeSsh2(ssh2);
  isKnown = true;
}

/** Throws `SshError` (`SSH2_UNUSABLE`). */
export function probeSsh2(module: Module): void {
  try {
    new Probe(module).run();
  } catch (cause) {
    const text =
      `The installed package ssh2 is not the one that tsftp is made for (${(cause as Error).message}): ` +
      `install ssh2 ${VERSION}, or use transport: 'openssh'`;
    throw new SshError('SSH2_UNUSABLE', text, { cause });
  }
}

class Probe {
  readonly #module: Module;
  readonly #client: Client;
  readonly #sent: Buffer[] = [];
  readonly #socket: Duplex;
  readonly #attempts: object[] = [];

  constructor(module: Module) {
    this.#module = module;
    this.#client = new module.Client();
    this.#socket = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        this.#sent.push(Buffer.from(chunk));
        done();
      },
    });
  }

  run(): void {
    const noop = (): void => {};
    this.#client.on('error', noop);
    try {
      this.#client.connect({
        sock: this.#socket,
        ident: 'probe',
        username: 'probe',
        readyTimeout: 0,
        algorithms: { cipher: ['aes128-ctr'] },
        hostVerifier: () => false,
        authHandler: () => this.#attempts.shift() ?? false,
      } as unknown as ConnectConfig);
      this.#take();
      this.#probeLogin();
      this.#probeChannel();
      this.#probeKeyExchange();
    } finally {
      this.#socket.destroy();
    }
  }

  /** The payloads that were sent since the last time; nothing is encrypted before a key exchange. */
  #take(): readonly Buffer[] {
    const packets = this.#sent
      .splice(0)
      .filter((packet) => !packet.toString('latin1', 0, 4).startsWith('SSH-'));
    return packets.map((packet) => packet.subarray(5, packet.length - (packet[4] ?? 0)));
  }

  #expectSent(what: string, ...numbers: readonly number[]): readonly Buffer[] {
    const sent = this.#take();
    expect(sent.map(([number]) => number).join() === numbers.join(), what);
    return sent;
  }

  #hear(name: string, ...rest: readonly unknown[]): void {
    const { _protocol } = inside(this.#client);
    const handler = (_protocol._handlers as unknown as Readonly<Record<string, AnyHandler>>)[name];
    expect(typeof handler === 'function', `it has no handler ${name}`);
    handler?.(_protocol, ...rest);
  }

  #probeLogin(): void {
    const { _protocol } = inside(this.#client);
    const signedWith: unknown[] = [];
    _protocol.authPK = (_username, _key, algorithm) => void signedWith.push(algorithm);
    refuseSha1Signatures(this.#client);
    forgoHostKeyProofs(this.#client);
    this.#hear('GLOBAL_REQUEST', 'hostkeys-00@openssh.com', false, Buffer.alloc(0));
    this.#expectSent('it cannot send a message without a meaning', MESSAGE.ignore);
    this.#attempts.push({ type: 'publickey', username: 'probe', key: makeRsaKey(this.#module) });
    prepareLogin(this.#client)();
    expect(signedWith.join() === 'rsa-sha2-256', 'it would sign with SHA-1');
    this.#hear('SERVICE_ACCEPT', 'ssh-userauth');
    this.#expectSent('it does not log in at once', MESSAGE.ignore);
    this.#probePassword();
  }

  #probePassword(): void {
    const { _protocol } = inside(this.#client);
    const refusals: unknown[] = [];
    listenToRefusals(this.#client, (methods, partial) => void refusals.push(methods, partial));
    this.#attempts.push({ type: 'password', username: 'probe', password: 'old' });
    _protocol._authsQueue.length = 0;
    this.#hear('USERAUTH_FAILURE', ['password'], true);
    expect(refusals.flat().join() === 'password,true', 'it does not tell what is left of a login');
    this.#expectSent('it does not go on with a login', MESSAGE.login);
    expect(_protocol._authsQueue.join() === 'password', 'it does not note what it has asked for');
    sendNewPassword(this.#client, { username: 'probe', password: 'old', newPassword: 'new' });
    const [change] = this.#expectSent('it cannot change a password', MESSAGE.login);
    expect(/old.*new$/s.test(change?.toString('latin1') ?? ''), 'it does not send a new password');
    expect(_protocol._authsQueue.length === 1, 'it notes attempts in another way');
    const before = _protocol.authPK;
    signAtOnce(this.#client, {} as never);
    expect(_protocol.authPK !== before, 'its way to sign cannot be changed');
  }

  #probeChannel(): void {
    let opened: RawChannel | undefined;
    openSession(
      this.#client,
      { type: 'subsystem', name: 'sftp', first: Buffer.from('1') },
      (_error, channel) => {
        opened = channel;
      },
    );
    const [request] = this.#expectSent('it does not open a channel', MESSAGE.open);
    const id = request?.readUInt32BE(request.length - 12) ?? 0;
    const facts = { recipient: id, sender: SERVERS_ID, window: 1000, packetSize: 500 };
    this.#hear('CHANNEL_OPEN_CONFIRMATION', facts);
    this.#expectSent('it does not start a subsystem', MESSAGE.request, 94);
    this.#hear('CHANNEL_SUCCESS', id);
    expect(opened !== undefined, 'it does not tell that a subsystem has started');
    if (opened !== undefined) this.#probeOpened(opened, id);
    this.#probeRefused();
  }

  #probeOpened(channel: RawChannel, id: number): void {
    const { outgoing, incoming } = channel;
    expect(incoming.window === INITIAL_WINDOW, 'it announces another window');
    expect(
      outgoing.id === SERVERS_ID && outgoing.packetSize === 500,
      'it describes a channel in another way',
    );
    expect(outgoing.window === 999 && outgoing.state === 'open', 'it does not count what it sends');
    const got: unknown[] = [];
    channel.push = (chunk) => got.push(String(chunk)) > 0;
    channel.stderr.push = (chunk: unknown) => got.push(String(chunk)) > 0;
    this.#hear('CHANNEL_DATA', id, Buffer.from('out'));
    this.#hear('CHANNEL_EXTENDED_DATA', id, Buffer.from('err'), 1);
    expect(got.join() === 'out,err', 'it hands data over in another way');
    expect(incoming.window === INITIAL_WINDOW - 6, 'it does not count what comes');
    let wrapped = 0;
    replaceAllocation(this.#client, (allocate) => (length) => {
      wrapped++;
      return allocate(length);
    });
    announceWindow(this.#client, channel, 10);
    this.#expectSent('it cannot announce a window', MESSAGE.adjust);
    expect(wrapped === 1, 'it makes its packets in another way');
    discardChannel(channel);
    this.#expectSent('it does not close a channel', MESSAGE.close);
    expect((outgoing as { state: string }).state !== 'open', 'it does not note that a channel is closed');
  }

  /** A request that is refused closes the channel; only `exec` is left to be tried. */
  #probeRefused(): void {
    let reason: Error | undefined;
    openSession(this.#client, { type: 'exec', command: 'true' }, (error) => {
      reason = error;
    });
    const [request] = this.#expectSent('it does not open a second channel', MESSAGE.open);
    const id = request?.readUInt32BE(request.length - 12) ?? 0;
    this.#hear('CHANNEL_OPEN_CONFIRMATION', { recipient: id, sender: 8, window: 0, packetSize: 500 });
    this.#hear('CHANNEL_FAILURE', id);
    this.#expectSent('it does not close what was refused', MESSAGE.request, MESSAGE.close);
    expect(reason !== undefined, 'it does not tell that a command was refused');
  }

  #probeKeyExchange(): void {
    expect(!isExchangingKeys(this.#client), 'it exchanges keys before it knows the server');
    const hello = Buffer.from('SSH-2.0-probe\r\n');
    inside(this.#client)._protocol.parse(hello, 0, hello.length);
    expect(isExchangingKeys(this.#client), 'its key exchange is not seen');
    const reader = new KexInitReader();
    reader.push(Buffer.concat([Buffer.from('SSH-2.0-\r\n'), ...this.#sent.splice(0)]));
    const { ciphers = [], kex = [] } = reader.offer ?? {};
    expect(ciphers.join() === 'aes128-ctr', 'it offers what it was not told to');
    expect(kex.includes('kex-strict-c-v00@openssh.com'), 'it does not ask for strict key exchange');
    const decipher = inside(this.#client)._protocol._decipher;
    expect(decipher !== undefined && '_packet' in decipher, 'it keeps unfinished packets in another way');
    if (decipher === undefined) return;
    const read = Buffer.from('read');
    decipher._packet = read;
    copyUnfinishedPacket(this.#client, read);
    expect(decipher._packet !== read, 'an unfinished packet is not copied');
    decipher._packet = null;
  }
}

function expect(holds: boolean, problem: string): void {
  if (!holds) throw new Error(problem);
}

/** A key that cannot sign: it is only seen how it would. */
function makeRsaKey({ utils }: Module): object {
  const modulus = Buffer.alloc(257, 0x55);
  modulus.writeUInt16BE(0xaa, 0);
  const blob = Buffer.concat([Buffer.from('ssh-rsa'), Buffer.from([1, 0, 1]), modulus].map(string));
  return Object.assign(utils.parseKey(`ssh-rsa ${blob.toString('base64')}`), { isPrivateKey: () => true });
}

function string(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
