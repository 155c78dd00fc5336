/**
 * Keys that live in an agent: it lists them and signs with them, we never see them. An agent may be missing,
 * hang, or answer garbage; then it has no keys for us, and a key that does not sign is one attempt that failed.
 */
import type { ParsedKey } from 'ssh2';
import ssh2 from 'ssh2';
import { printable } from '../../shared/printable.js';
import { fingerprintOf, isHostKeyType, keyType } from '../host-keys/key-blob.js';
import { requestIdentities, requestSignature } from './agent-protocol.js';

const LIST_TIMEOUT_MS = 5_000;
/** Longer, as some keys want a touch or a word from their owner; shorter than the time for connecting. */
const SIGN_TIMEOUT_MS = 15_000;

/** How long to wait for an agent, in ms. */
export interface AgentTimeouts {
  /** For its list of keys. Default: 5,000. */
  readonly list?: number | undefined;
  /** For each signature. Default: 15,000. */
  readonly sign?: number | undefined;
}

/**
 * A key that an SSH agent holds, from {@link listAgentKeys}; it may be given as `privateKey`.
 *
 * @example
 * const key = (await listAgentKeys()).find(({ comment }) => comment === 'deploy');
 * await using sftp = await connect('hostname', { username: 'me', privateKey: key });
 */
export class AgentKey {
  /** For instance `ssh-ed25519`. */
  readonly type: string;
  /** What its owner called it; text of the agent, escaped. */
  readonly comment: string;
  /** `SHA256:…`, as `ssh-add -l` prints it. */
  readonly fingerprint: string;
  /** The public key as in RFC 4253, section 6.6. */
  readonly bytes: Uint8Array;
  /** @internal */
  readonly label: string;
  /** @internal */
  readonly parsed: ParsedKey;
  /** What signs with this key and no other. @internal */
  readonly agent: ssh2.BaseAgent;

  /** @internal */
  constructor(parsed: ParsedKey, comment: string, agent: ssh2.BaseAgent) {
    const bytes = parsed.getPublicSSH();
    this.type = parsed.type;
    this.comment = printable(comment, 100);
    this.fingerprint = fingerprintOf(bytes);
    this.bytes = bytes;
    this.label = `${this.comment || this.type} of the agent`;
    this.parsed = parsed;
    this.agent = agent;
  }
}

/** Where the agent listens: `$SSH_AUTH_SOCK`, or on Windows the pipe of OpenSSH's. */
export function defaultAgent(): string | undefined {
  const named = process.env.SSH_AUTH_SOCK;
  return named || (process.platform === 'win32' ? '\\\\.\\pipe\\openssh-ssh-agent' : undefined);
}

/**
 * Lists an agent's keys of the types that can be used here (Ed25519, ECDSA, RSA): none if there is no agent, or
 * if it does not answer sensibly within five seconds. Never rejects.
 *
 * `path` is a socket, or on Windows a pipe or `pageant`; default: `$SSH_AUTH_SOCK`, on Windows OpenSSH's pipe.
 */
export async function listAgentKeys(
  path: string | undefined = defaultAgent(),
  timeouts: AgentTimeouts = {},
): Promise<readonly AgentKey[]> {
  if (!path) return [];
  try {
    const identities = await requestIdentities(path, timeouts.list ?? LIST_TIMEOUT_MS);
    return identities.flatMap(({ bytes, comment }) => {
      const parsed = parsePublicKey(bytes);
      if (parsed === undefined) return [];
      return [new AgentKey(parsed, comment, new OneKeyAgent(path, parsed, timeouts.sign ?? SIGN_TIMEOUT_MS))];
    });
  } catch {
    return [];
  }
}

function parsePublicKey(bytes: Buffer): ParsedKey | undefined {
  const type = keyType(bytes);
  if (type === undefined || !isHostKeyType(type)) return undefined;
  const parsed = ssh2.utils.parseKey(`${type} ${bytes.toString('base64')}`);
  return parsed instanceof Error ? undefined : parsed;
}

/** Offers ssh2 one key alone, so that each counts as one attempt of ours, in our order. */
class OneKeyAgent extends ssh2.BaseAgent {
  readonly #path: string;
  readonly #key: ParsedKey;
  readonly #timeoutMs: number;

  constructor(path: string, key: ParsedKey, timeoutMs: number) {
    super();
    this.#path = path;
    this.#key = key;
    this.#timeoutMs = timeoutMs;
  }

  override getIdentities(callback: ssh2.IdentityCallback): void {
    callback(undefined, [this.#key]);
  }

  override sign(
    _key: string | Buffer | ParsedKey,
    data: Buffer,
    options: ssh2.SigningRequestOptions | ssh2.SignCallback,
    callback?: ssh2.SignCallback,
  ): void {
    const [hash, done] = typeof options === 'function' ? [undefined, options] : [options.hash, callback];
    const request = { key: this.#key.getPublicSSH(), data, hash };
    requestSignature(this.#path, request, this.#timeoutMs)
      // A signature that ssh2 cannot use makes it throw: that is a refusal like any other.
      .then((signature) => done?.(undefined, signature))
      .catch((error: Error) => done?.(error));
  }
}
