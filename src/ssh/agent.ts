/**
 * Keys that live in an agent (draft-miller-ssh-agent): it lists them and signs with them, we never see them.
 * An agent may be missing, hang, or answer garbage; then it has no keys for us.
 */
import type { Duplex } from 'node:stream';
import type { ParsedKey } from 'ssh2';
import ssh2 from 'ssh2';

const LIST_TIMEOUT_MS = 5_000;

/** A key of an agent; {@link AgentKey.agent} is what signs with it. */
export interface AgentKey {
  readonly label: string;
  readonly parsed: ParsedKey;
  readonly agent: ssh2.BaseAgent;
}

/** Lists an agent's keys: none if it does not answer sensibly within five seconds. Never rejects. */
export async function listAgentKeys(path: string, timeoutMs = LIST_TIMEOUT_MS): Promise<readonly AgentKey[]> {
  const keys = await new Promise<readonly ParsedKey[]>((resolve) => {
    let stream: Duplex | undefined;
    const finish = (found: readonly ParsedKey[]): void => {
      clearTimeout(timer);
      stream?.destroy();
      resolve(found);
    };
    const timer = setTimeout(finish, timeoutMs, []);
    try {
      openAgent(path).getStream((error: Error | null | undefined, opened?: Duplex) => {
        stream = opened;
        if (error || opened === undefined) {
          finish([]);
        } else {
          askForKeys(opened, finish);
        }
      });
    } catch {
      finish([]);
    }
  });
  return keys.map((parsed) => ({
    label: `${parsed.comment || parsed.type} of the agent`,
    parsed,
    agent: new OneKeyAgent(path, parsed),
  }));
}

function askForKeys(stream: Duplex, finish: (keys: readonly ParsedKey[]) => void): void {
  const protocol = new ssh2.AgentProtocol(true);
  const fail = (): void => finish([]);
  stream.on('error', fail).on('close', fail);
  protocol.on('error', fail);
  stream.pipe(protocol).pipe(stream);
  protocol.getIdentities((error, keys) => finish(error || keys === undefined ? [] : keys));
}

interface StreamAgent extends ssh2.BaseAgent {
  getStream(callback: (error: Error | null | undefined, stream?: Duplex) => void): void;
}

function openAgent(path: string): StreamAgent {
  return ssh2.createAgent(path) as StreamAgent;
}

/** Offers ssh2 one key alone, so that each counts as one attempt of ours, in our order. */
class OneKeyAgent extends ssh2.BaseAgent {
  readonly #path: string;
  readonly #key: ParsedKey;

  constructor(path: string, key: ParsedKey) {
    super();
    this.#path = path;
    this.#key = key;
  }

  override getIdentities(callback: ssh2.IdentityCallback): void {
    callback(undefined, [this.#key]);
  }

  override sign(
    key: string | Buffer | ParsedKey,
    data: Buffer,
    options: ssh2.SigningRequestOptions | ssh2.SignCallback,
    callback?: ssh2.SignCallback,
  ): void {
    const agent: ssh2.BaseAgent = ssh2.createAgent(this.#path);
    if (typeof options === 'function') {
      agent.sign(key, data, options);
    } else {
      agent.sign(key, data, options, callback);
    }
  }
}
