/** The decision whether a server is the one that was meant, and the error that says why not. */
import { HostKeysError, type HostKeysErrorCode } from '../../errors.js';
import { hostKeyError, knownHostsError, pinError, type ShownHostKey } from './host-key-error.js';
import { hostName } from './host-pattern.js';
import { fingerprintOf, isHostKeyType, keyType, rsaBits } from './key-blob.js';
import { HostKeys, type HostKeyVerdict } from './known-hosts.js';
import { appendKnownHost, readKnownHostsIfAny } from './known-hosts-file.js';

/** What a program is asked to decide on. */
export interface HostKeyQuestion {
  readonly host: string;
  readonly port: number;
  /** For instance `ssh-ed25519`. */
  readonly type: string;
  /** The public key as in RFC 4253, section 6.6. */
  readonly bytes: Uint8Array;
  /** `SHA256:…`, as `ssh-keygen -l` prints it. */
  readonly fingerprint: string;
  /** Why known_hosts or the pins would refuse the key; `undefined` where they trust it. */
  readonly refusal: HostKeysError | undefined;
}

/** Decides on a server's key. Only `true`, or a promise of it, accepts. */
export type HostKeyVerifier = (question: HostKeyQuestion) => boolean | Promise<boolean>;

/** Everything that may have a say about a server's key. */
export interface HostKeyRules {
  /** Known hosts; `null`: any key is accepted, save for what `pins` and `verify` say. */
  readonly keys: HostKeys | null;
  /** Fingerprints (`SHA256:…`) of which one must fit, in place of the known hosts; revoked keys stay revoked. */
  readonly pins?: readonly string[] | undefined;
  /** Asked last, for every key that is not revoked or too weak. */
  readonly verify?: HostKeyVerifier | undefined;
  /** A known_hosts file to which an unknown host is added, instead of being refused. */
  readonly acceptNewIn?: string | undefined;
  /** Where its key belongs, for messages. Default: the first file of `keys`. */
  readonly file?: string | undefined;
  /** Look the server up by this name, whatever its address and port (ssh_config's HostKeyAlias). */
  readonly alias?: string | undefined;
  /** Whether it is a jump host, for messages. */
  readonly isJumpHost?: boolean | undefined;
  /** Shorter RSA keys are refused. Default: 2048. */
  readonly minimumRsaBits?: number | undefined;
}

/** Known hosts, fingerprints of which one must fit, `null` for any key at all, or {@link HostKeyRules}. */
export type HostKeyCheck = HostKeys | readonly string[] | null | HostKeyRules;

/** RFC 8332 and NIST SP 800-131A: below it, a determined attacker can forge RSA. */
export const MINIMUM_RSA_BITS = 2048;

const DEFAULT_KNOWN_HOSTS = '~/.ssh/known_hosts';

interface Shown {
  readonly host: string;
  readonly port: number;
  readonly key: Uint8Array;
}

/** How a key stands before anybody is asked or anything is written. */
export interface Judgement {
  readonly refusal: HostKeysError | undefined;
  /** Is there nothing that {@link settleHostKey} could change about it? */
  readonly final: boolean;
}

export function toRules(check: HostKeyCheck): HostKeyRules {
  if (check === null || check instanceof HostKeys) return { keys: check };
  return isPins(check) ? { keys: null, pins: check } : check;
}

/** The types of host keys to ask the server for first. */
export function wantedKeyTypes(host: string, port: number, rules: HostKeyRules): readonly string[] {
  return rules.keys === null || rules.pins !== undefined
    ? []
    : rules.keys.keyTypes(...lookupName({ host, port }, rules));
}

/** Judges a key by what is known. Never throws. */
export function judgeHostKey(shown: Shown, rules: HostKeyRules): Judgement {
  const type = keyType(shown.key);
  if (type === undefined || !isHostKeyType(type)) {
    return refused(refuse(shown, 'HOST_KEY_REFUSED', 'is of a type that cannot be verified'));
  }
  const bits = rsaBits(shown.key);
  const minimum = rules.minimumRsaBits ?? MINIMUM_RSA_BITS;
  if (type === 'ssh-rsa' && (bits === undefined || bits < minimum)) {
    const advice = `RSA keys need ${minimum} bits; give the server a new key, best ssh-ed25519`;
    const text = `has only ${bits ?? 'an unknown number of'} bits. ${advice}`;
    return refused(refuse(shown, 'HOST_KEY_REFUSED', text));
  }
  const verdict = rules.keys?.check(...lookupName(shown, rules), shown.key);
  if (verdict?.status === 'revoked') return refused(checkKnown(shown, verdict, rules));
  const refusal = rules.pins ? checkPins(shown, rules.pins) : verdict && checkKnown(shown, verdict, rules);
  const addable = rules.acceptNewIn !== undefined && isNew(refusal);
  return { refusal, final: rules.verify === undefined && !addable };
}

/**
 * Asks the program, and adds a new host to its file. To be called once the server has proved to hold the key
 * and before anything else is sent to it. Resolves with the reason to refuse, if there is one; never rejects.
 */
export async function settleHostKey(
  shown: Shown,
  rules: HostKeyRules,
  judgement: Judgement,
): Promise<HostKeysError | undefined> {
  const { refusal, final } = judgement;
  if (final) return refusal;
  if (rules.verify !== undefined) {
    const objection = await askProgram(shown, rules.verify, refusal);
    if (objection !== undefined) return objection;
  }
  if (rules.acceptNewIn !== undefined && isNew(refusal)) return addHost(shown, rules, rules.acceptNewIn);
  return undefined;
}

/** Known to nobody, not even by an authority that should have signed the key. */
function isNew(refusal: HostKeysError | undefined): boolean {
  return refusal?.code === 'HOST_KEY_UNKNOWN' && refusal.line === undefined;
}

async function askProgram(
  shown: Shown,
  verify: HostKeyVerifier,
  refusal: HostKeysError | undefined,
): Promise<HostKeysError | undefined> {
  const { host, port, key } = shown;
  const facts = { type: keyType(key) ?? '', bytes: Uint8Array.from(key), fingerprint: fingerprintOf(key) };
  try {
    const answer: unknown = await verify({ host, port, ...facts, refusal });
    if (answer === true) return undefined;
  } catch (cause) {
    return refuse(shown, 'HOST_KEY_REFUSED', 'was refused: the program failed to decide on it', { cause });
  }
  return refusal ?? refuse(shown, 'HOST_KEY_REFUSED', 'was refused by the program');
}

/** Looks again at what the file says now: another process may have added the host, with this key or another. */
function addHost(shown: Shown, rules: HostKeyRules, file: string): HostKeysError | undefined {
  const [host, port] = lookupName(shown, rules);
  try {
    const now = new HostKeys();
    now.parse(readKnownHostsIfAny(file), file);
    const verdict = now.check(host, port, shown.key);
    const refusal = checkKnown(shown, verdict, rules);
    if (isNew(refusal)) appendKnownHost(file, hostName(host, port), shown.key);
    else if (refusal !== undefined) return refusal;
    rules.keys?.add(hostName(host, port), shown.key);
    return undefined;
  } catch (error) {
    if (error instanceof HostKeysError) return error;
    return refuse(shown, 'HOST_KEY_REFUSED', 'could not be added to the known hosts', { cause: error });
  }
}

function lookupName(shown: { host: string; port: number }, rules: HostKeyRules): [string, number] {
  return rules.alias === undefined ? [shown.host, shown.port] : [rules.alias, 22];
}

function isPins(check: HostKeyRules | readonly string[]): check is readonly string[] {
  return Array.isArray(check);
}

function refused(refusal: HostKeysError | undefined): Judgement {
  return { refusal, final: true };
}

function checkKnown(shown: Shown, verdict: HostKeyVerdict, rules: HostKeyRules): HostKeysError | undefined {
  if (verdict.status === 'trusted') return undefined;
  const { keys, acceptNewIn, file, alias, isJumpHost } = rules;
  const place = { file: acceptNewIn ?? file ?? keys?.files[0] ?? DEFAULT_KNOWN_HOSTS, alias, isJumpHost };
  return knownHostsError(describe(shown), verdict.status, verdict.entry, place);
}

function checkPins(shown: Shown, pins: readonly string[]): HostKeysError | undefined {
  const fingerprint = fingerprintOf(shown.key);
  const fits = pins.some((pin) => pin.replace(/=+$/, '') === fingerprint);
  return fits ? undefined : pinError(describe(shown), pins);
}

function refuse(
  shown: Shown,
  code: HostKeysErrorCode,
  what: string,
  details: { cause?: unknown } = {},
): HostKeysError {
  return hostKeyError(describe(shown), code, what, details);
}

function describe({ host, port, key }: Shown): ShownHostKey {
  return { host, port, type: keyType(key), fingerprint: fingerprintOf(key), key };
}
