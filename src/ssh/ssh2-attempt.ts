/**
 * One attempt to connect: dial, read the identification, exchange keys, verify the server, log in. The first
 * failure wins and destroys the socket; nothing that ssh2 does afterwards is heard.
 */
import type { Duplex } from 'node:stream';
import ssh2, {
  type AnyAuthMethod,
  type AuthHandlerMiddleware,
  type ConnectConfig,
  type NegotiatedAlgorithms,
} from 'ssh2';
import { SshError } from '../errors.js';
import { printable } from '../printable.js';
import { timerDelay } from '../timer-delay.js';
import { AgentKey } from './agent.js';
import { makeOffer, type Offer, securityOptions } from './algorithms.js';
import { Authentication } from './authentication.js';
import {
  type AttemptState,
  type ClientError,
  endedError,
  explainClientError,
  LOGGING_IN,
  timeoutError,
} from './connect-failure.js';
import { Deadline } from './deadline.js';
import {
  type HostKeyRules,
  type Judgement,
  judgeHostKey,
  settleHostKey,
  wantedKeyTypes,
} from './host-key.js';
import { KexInitReader } from './kexinit.js';
import { fingerprintOf, keyType } from './key-blob.js';
import { fromSsh2, terrapinError, toSsh2Algorithms } from './negotiation.js';
import { PacketMemory } from './packet-memory.js';
import { dial, readIdentification } from './socket.js';
import type { Negotiated, ServerKey } from './ssh-connection.js';
import type { Ssh2Options } from './ssh2.js';
import { Ssh2Connection } from './ssh2-connection.js';
import { copyUnfinishedPacket, isExchangingKeys, replaceAllocation } from './ssh2-internals.js';
import {
  forgoHostKeyProofs,
  identify,
  logInAtOnce,
  refuseSha1Signatures,
  SOFTWARE,
  sendNewPassword,
  signAtOnce,
} from './ssh2-login.js';

/** Far more than our own channels leave unsent: replies to a server that asks and does not read. */
const MAXIMUM_UNSENT = 16 * 1024 * 1024;

export interface AttemptOptions extends Ssh2Options {
  readonly hostKeys: HostKeyRules;
  /** Are signatures with SHA-1 allowed? */
  readonly legacy: boolean;
  readonly connectTimeout: number;
  readonly keepaliveInterval: number;
  readonly keepaliveCountMax: number;
  readonly resolve: (connection: Ssh2Connection) => void;
  readonly reject: (reason: unknown) => void;
}

export class Attempt {
  readonly #options: AttemptOptions;
  readonly #client = new ssh2.Client();
  readonly #authentication: Authentication;
  readonly #rules: HostKeyRules;
  readonly #offer: Offer;
  readonly #kexInit = new KexInitReader();
  readonly #deadline: Deadline;
  #stage = 'connecting';
  #socket: Duplex | undefined;
  /** For a socket of our own, which tells what it has got rid of. */
  #packetMemory: PacketMemory | undefined;
  #settled = false;
  #choosing = false;
  #connection: Ssh2Connection | undefined;
  #serverKey: Buffer | undefined;
  #judgement: Judgement | undefined;
  #negotiated: Negotiated | undefined;

  constructor(options: AttemptOptions) {
    this.#options = options;
    const { host, port, hostKeys, algorithms, username, credentials, onPrompt, connectTimeout } = options;
    const { verify } = hostKeys;
    // Whoever is asked may take their time.
    this.#deadline = new Deadline(connectTimeout, () =>
      this.#fail(timeoutError(this.#state(), connectTimeout)),
    );
    this.#rules = {
      ...hostKeys,
      verify: verify && ((question) => this.#deadline.whileAsking(() => verify(question))),
    };
    this.#authentication = new Authentication({
      username,
      host,
      port,
      credentials,
      onPrompt: onPrompt && ((request) => this.#deadline.whileAsking(() => onPrompt(request))),
      onPromptError: (error) => this.#fail(error),
      asksFirst: options.legacy,
    });
    this.#offer = makeOffer(algorithms, wantedKeyTypes(host, port, hostKeys));
  }

  start(): void {
    this.#options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#socket = this.#options.stream ?? this.#dial();
    if (this.#options.stream !== undefined) process.nextTick(() => this.#identify());
    this.#socket.on('close', () => this.#fail(endedError(this.#state())));
    // Whatever happens to the socket later, somebody listens.
    this.#socket.on('error', () => {});
  }

  #dial(): Duplex {
    const { host, port } = this.#options;
    const socket = dial({
      host,
      port,
      onConnect: () => this.#identify(),
      onError: (error) => this.#fail(error),
      // While it exchanges keys and logs in, ssh2 keeps parts of what it reads.
      lends: () => this.#connection !== undefined && !isExchangingKeys(this.#client),
      onRead: (chunk) => copyUnfinishedPacket(this.#client, chunk),
    });
    this.#packetMemory = new PacketMemory(socket);
    return socket;
  }

  #identify(): void {
    const socket = this.#socket;
    if (socket === undefined || this.#settled) {
      return;
    }
    this.#stage = 'waiting for the server to identify itself';
    if (!this.#options.legacy) identify(socket);
    readIdentification(socket, this.#options, (error) => {
      if (error !== undefined) {
        this.#fail(error);
      } else if (!this.#settled) {
        // After the identification is back in the socket.
        process.nextTick(() => this.#handshake(socket));
      }
    });
  }

  #handshake(socket: Duplex): void {
    if (this.#settled) {
      return;
    }
    this.#stage = 'exchanging keys';
    const readKexInit = (chunk: Buffer): void => {
      if (this.#kexInit.push(chunk)) {
        socket.off('data', readKexInit);
      }
    };
    socket.on('data', readKexInit).on('data', this.#checkUnsent);
    this.#client
      .on('error', (error) => this.#onClientError(error))
      .on('handshake', (negotiated) => this.#onHandshake(negotiated))
      .on('ready', () => this.#onReady())
      .on('change password', (prompt) => this.#onPasswordExpired(prompt));
    try {
      this.#client.connect(this.#config(socket));
    } catch (error) {
      this.#fail(new SshError('NEGOTIATION_FAILED', `ssh cannot be set up so: ${(error as Error).message}`));
    }
  }

  #config(socket: Duplex): ConnectConfig {
    const { username, keepaliveInterval, keepaliveCountMax, debug } = this.#options;
    return {
      sock: socket,
      ident: SOFTWARE,
      username,
      readyTimeout: 0,
      keepaliveInterval: timerDelay(keepaliveInterval),
      keepaliveCountMax,
      algorithms: toSsh2Algorithms(this.#offer),
      hostVerifier: (key: Buffer) => this.#verify(key),
      authHandler: this.#onAuthenticate,
      ...(debug !== undefined && {
        debug: (line: string) => debug(printable(this.#authentication.redact(line), 4096)),
      }),
    };
  }

  /** ssh2 answers whatever a server asks, also one that never reads the answers. */
  readonly #checkUnsent = (): void => {
    if ((this.#socket?.writableLength ?? 0) > MAXIMUM_UNSENT) {
      this.#fail(new SshError('SSH_PROTOCOL', 'the server asks for answers and does not read them'));
    }
  };

  /** Called at the first key exchange and at every later one; ssh2 accepts whatever is not literally `false`. */
  #verify(key: Buffer): boolean {
    if (this.#serverKey !== undefined) {
      const same = this.#serverKey.equals(key);
      if (!same) {
        this.#fail(
          new SshError('HOST_KEY_SWITCHED', 'the server came with another host key while connected'),
        );
      }
      return same;
    }
    const { host, port } = this.#options;
    const judgement = judgeHostKey({ host, port, key }, this.#rules);
    if (judgement.final && judgement.refusal !== undefined) {
      this.#fail(judgement.refusal);
      return false;
    }
    this.#serverKey = Buffer.from(key);
    this.#judgement = judgement;
    return !this.#settled;
  }

  #onHandshake(negotiated: NegotiatedAlgorithms): void {
    const error = terrapinError(negotiated, this.#kexInit.offer?.strictKex === true);
    if (error !== undefined) {
      this.#fail(error);
      return;
    }
    const memory = this.#packetMemory;
    if (memory !== undefined) {
      replaceAllocation(this.#client, (allocate) => memory.wrap(allocate));
    }
    if (this.#negotiated !== undefined) {
      return; // A later exchange of keys.
    }
    this.#negotiated = fromSsh2(negotiated);
    this.#stage = LOGGING_IN;
    if (!this.#options.legacy) {
      refuseSha1Signatures(this.#client);
      this.#hurry(this.#negotiated);
    }
  }

  /** As with the identification, not with servers from long ago, of which some may need a message at a time. */
  #hurry({ compression }: Negotiated): void {
    const [key, ...others] = this.#options.credentials.keys;
    // An agent may ask its user for a signature, and of several keys only one will do: those are not bothered in vain.
    if (key !== undefined && others.length === 0 && !(key instanceof AgentKey))
      signAtOnce(this.#client, key.parsed);
    forgoHostKeyProofs(this.#client);
    // With `zlib@openssh.com` the server takes all that comes after its yes for compressed, and so nothing may cross it.
    if (compression.some((name) => name !== 'none')) return;
    // When ssh2 has asked for the service.
    process.nextTick(() => {
      if (!this.#settled) logInAtOnce(this.#client);
    });
  }

  readonly #onAuthenticate: AuthHandlerMiddleware = (offered, partial, next) => {
    if (this.#settled || this.#connection !== undefined || this.#choosing) {
      // A refusal after the success, or before an attempt: nothing more is sent to such a server.
      const when = this.#choosing ? 'before it was asked' : 'after it had accepted it';
      this.#fail(new SshError('SSH_PROTOCOL', `the server refused the login ${when}`));
      return;
    }
    this.#choosing = true;
    this.#chooseAttempt(offered, partial)
      .then((attempt) => {
        this.#choosing = false;
        if (attempt === undefined) {
          this.#fail(this.#authentication.failure());
        } else if (!this.#settled) {
          next(attempt);
        }
      })
      .catch((error) => this.#fail(error));
  };

  /** Before the very first attempt, what is open about the server's key is settled. */
  async #chooseAttempt(
    offered: readonly string[] | null,
    partial: boolean,
  ): Promise<AnyAuthMethod | undefined> {
    const key = this.#serverKey;
    const judgement = this.#judgement;
    if (key === undefined || judgement === undefined) {
      throw new SshError('SSH_PROTOCOL', 'the server wants a login before it has shown a key');
    }
    if (!judgement.final) {
      const { host, port } = this.#options;
      const refusal = await settleHostKey({ host, port, key }, this.#rules, judgement);
      this.#judgement = { refusal, final: true };
      if (refusal !== undefined) {
        throw refusal;
      }
    }
    return await this.#authentication.next(offered, partial);
  }

  #onPasswordExpired(prompt: string): void {
    this.#authentication
      .changePassword(prompt)
      .then((change) => {
        if (change === undefined) {
          this.#fail(this.#authentication.passwordExpired());
        } else if (!this.#settled) {
          sendNewPassword(this.#client, { username: this.#options.username, ...change });
        }
      })
      .catch((error) => this.#fail(error));
  }

  #onReady(): void {
    const { host, port, username, resolve } = this.#options;
    if (this.#settled || this.#socket === undefined || !this.#negotiated || !this.#serverKey) {
      return;
    }
    if (this.#judgement?.final !== true) {
      this.#fail(new SshError('SSH_PROTOCOL', 'the server accepted a login that was not asked for'));
      return;
    }
    this.#settle();
    this.#connection = new Ssh2Connection(this.#client, this.#socket, {
      host,
      port,
      username,
      negotiated: this.#negotiated,
      securityOptions: securityOptions(this.#offer),
      remoteServerKey: describeKey(this.#serverKey),
    });
    resolve(this.#connection);
  }

  readonly #onAbort = (): void => this.#fail(this.#options.signal?.reason);

  #settle(): void {
    this.#settled = true;
    this.#deadline.cancel();
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }

  /** The first reason wins; the socket goes at once, as ssh2 would only half close it. */
  #fail(reason: unknown): void {
    if (this.#connection !== undefined) {
      this.#connection.destroy(
        reason instanceof Error ? reason : new SshError('SSH_PROTOCOL', String(reason)),
      );
    } else if (!this.#settled) {
      this.#settle();
      this.#socket?.destroy();
      this.#options.reject(reason);
    }
  }

  #onClientError(error: ClientError): void {
    if (error.level === 'agent') {
      return; // One key of the agent did not work; ssh2 goes on to our next attempt.
    }
    this.#fail(explainClientError(error, this.#state()));
  }

  #state(): AttemptState {
    const { host, port } = this.#options;
    return {
      address: { host, port },
      stage: this.#stage,
      isConnected: this.#connection !== undefined,
      authentication: this.#authentication,
      offer: this.#offer,
      serverOffer: this.#kexInit.offer,
    };
  }
}

function describeKey(bytes: Buffer): ServerKey {
  return { type: keyType(bytes) ?? 'unknown', bytes, fingerprint: fingerprintOf(bytes) };
}
