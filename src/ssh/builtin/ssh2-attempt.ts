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
import { SshError } from '../../errors.js';
import { printable } from '../../shared/printable.js';
import { timerDelay } from '../../shared/timer-delay.js';
import { makeOffer, type Offer, securityOptions } from '../algorithms.js';
import { AgentKey } from '../credentials/agent.js';
import { Deadline } from '../deadline.js';
import {
  type HostKeyRules,
  type Judgement,
  judgeHostKey,
  settleHostKey,
  wantedKeyTypes,
} from '../host-keys/host-key.js';
import { fingerprintOf, keyType } from '../host-keys/key-blob.js';
import { IS_DENO } from '../runtime.js';
import { dial, readIdentification } from '../socket.js';
import type { Negotiated, ServerKey } from '../ssh-connection.js';
import { Authentication } from './authentication.js';
import {
  type AttemptState,
  endedError,
  explainClientError,
  LOGGING_IN,
  type Ssh2ClientError,
  timeoutError,
} from './connect-failure.js';
import { KexInitReader } from './kexinit.js';
import { fromSsh2, terrapinError, toSsh2Algorithms } from './negotiation.js';
import { PacketMemory } from './packet-memory.js';
import { Ssh2Connection } from './ssh2-connection.js';
import { copyUnfinishedPacket, isExchangingKeys, replaceAllocation } from './ssh2-internals.js';
import {
  forgoHostKeyProofs,
  identify,
  listenToRefusals,
  prepareLogin,
  refuseSha1Signatures,
  SOFTWARE,
  sendNewPassword,
  signAtOnce,
} from './ssh2-login.js';
import type { Ssh2Options } from './ssh2-options.js';

/** Far more than our own channels leave unsent: replies to a server that asks and does not read. */
const MAXIMUM_UNSENT = 16 * 1024 * 1024;

const LEGACY_PATIENCE_MS = 1_000;

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

export class Ssh2Attempt {
  readonly #options: AttemptOptions;
  readonly #client = new ssh2.Client();
  readonly #authentication: Authentication;
  readonly #rules: HostKeyRules;
  readonly #offer: Offer;
  readonly #kexInit = new KexInitReader();
  readonly #deadline: Deadline;
  #stage = 'connecting';
  #heard: () => string = () => '';
  #socket: Duplex | undefined;
  /** For a socket of our own, which tells what it has got rid of. */
  #packetMemory: PacketMemory | undefined;
  #settled = false;
  #choosing = false;
  /** What the server has said to the last attempt. */
  #refusal: { readonly methods: readonly string[]; readonly partial: boolean } | undefined;
  #connection: Ssh2Connection | undefined;
  #serverKey: Buffer | undefined;
  #judgement: Judgement | undefined;
  #negotiated: Negotiated | undefined;

  constructor(options: AttemptOptions) {
    this.#options = options;
    const { host, port, hostKeys, algorithms, username, credentials, onPrompt, connectTimeout } = options;
    const { verify } = hostKeys;
    // The person who is asked may take their time.
    this.#deadline = new Deadline(options.leftMs?.() ?? connectTimeout, () =>
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
      methods: options.authMethods,
      onPrompt: onPrompt && ((request) => this.#deadline.whileAsking(() => onPrompt(request))),
      onPromptError: (error) => this.#fail(error),
      secrets: options.secrets,
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
    const { host, port, family, localAddress } = this.#options;
    const socket = dial({
      host,
      port,
      family,
      localAddress,
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
    let patience: NodeJS.Timeout | undefined;
    // Some old servers want to speak first; what speaks another protocol waits for us.
    if (this.#options.legacy) patience = setTimeout(() => identify(socket), LEGACY_PATIENCE_MS);
    else identify(socket);
    socket.once('close', () => clearTimeout(patience));
    this.#heard = readIdentification(socket, this.#options, (error) => {
      clearTimeout(patience);
      this.#heard = () => '';
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
    if (IS_DENO && this.#offer.compression.length > 1) {
      const text = 'Deno cannot compress an SSH connection: leave out the option compression';
      this.#fail(new SshError('NEGOTIATION_FAILED', text));
      return;
    }
    try {
      this.#client.connect(this.#config(socket));
    } catch (error) {
      this.#fail(new SshError('NEGOTIATION_FAILED', `Invalid SSH options: ${(error as Error).message}`));
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
      this.#fail(
        new SshError(
          'SSH_PROTOCOL',
          'The server keeps sending requests without reading the replies; disconnected',
        ),
      );
    }
  };

  /** Called at the first key exchange and at every later one; ssh2 accepts whatever is not literally `false`. */
  #verify(key: Buffer): boolean {
    if (this.#serverKey !== undefined) {
      const same = this.#serverKey.equals(key);
      if (!same) {
        this.#fail(
          new SshError(
            'HOST_KEY_SWITCHED',
            'The server showed another host key during a rekey; disconnected',
          ),
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
      return; // A later key exchange.
    }
    this.#negotiated = fromSsh2(negotiated);
    this.#stage = LOGGING_IN;
    listenToRefusals(this.#client, (methods, partial) => {
      this.#refusal = { methods, partial };
    });
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
    const logIn = prepareLogin(this.#client);
    // When ssh2 has asked for the service.
    process.nextTick(() => {
      if (!this.#settled) logIn();
    });
  }

  readonly #onAuthenticate: AuthHandlerMiddleware = (_offered, _partial, next) => {
    if (this.#settled || this.#connection !== undefined || this.#choosing) {
      // A refusal after the success, or before an attempt: nothing more is sent to such a server.
      const when = this.#choosing ? 'before it was asked' : 'after it had accepted it';
      this.#fail(new SshError('SSH_PROTOCOL', `The server refused the login ${when}`));
      return;
    }
    this.#choosing = true;
    this.#chooseAttempt()
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
  async #chooseAttempt(): Promise<AnyAuthMethod | undefined> {
    const { methods = null, partial = false } = this.#refusal ?? {};
    this.#refusal = undefined;
    const key = this.#serverKey;
    const judgement = this.#judgement;
    if (key === undefined || judgement === undefined) {
      throw new SshError('SSH_PROTOCOL', 'The server asked for a login before it proved its host key');
    }
    if (!judgement.final) {
      const { host, port } = this.#options;
      const refusal = await settleHostKey({ host, port, key }, this.#rules, judgement);
      this.#judgement = { refusal, final: true };
      if (refusal !== undefined) {
        throw refusal;
      }
    }
    return await this.#authentication.next(methods, partial);
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
      this.#fail(new SshError('SSH_PROTOCOL', 'The server accepted a login that was not requested'));
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
      secrets: this.#options.secrets,
      connectTimeoutMs: this.#options.connectTimeout,
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

  #onClientError(error: Ssh2ClientError): void {
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
      greeting: this.#heard(),
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
