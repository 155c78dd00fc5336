/** The decision whether a server is the one that was meant, and the error that says why not. */
import { HostKeysError, type HostKeysErrorCode } from '../errors.js';
import { printable } from '../printable.js';
import { hostName } from './host-pattern.js';
import { fingerprintOf, isHostKeyType, keyType, rsaBits } from './key-blob.js';
import { HostKeys, type HostKeyVerdict } from './known-hosts.js';
import { appendKnownHost, readKnownHosts } from './known-hosts-file.js';

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
  /** Look the server up by this name, whatever its address and port (ssh_config's HostKeyAlias). */
  readonly alias?: string | undefined;
  /** Shorter RSA keys are refused. Default: 2048. */
  readonly minimumRsaBits?: number | undefined;
}

/** Known hosts, fingerprints of which one must fit, `null` for any key at all, or {@link HostKeyRules}. */
export type HostKeyCheck = HostKeys | readonly string[] | null | HostKeyRules;

/** RFC 8332 and NIST SP 800-131A: below it, RSA can be forged by whoever is determined. */
const MINIMUM_RSA_BITS = 2048;

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
    const advice = `RSA keys need ${minimum} bits; the server should get a new one, best ssh-ed25519`;
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
    now.parse(readKnownHosts(file), file);
    const verdict = now.check(host, port, shown.key);
    if (verdict.status === 'unknown') appendKnownHost(file, hostName(host, port), shown.key);
    else if (verdict.status !== 'trusted') return checkKnown(shown, verdict, rules);
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

function checkPins(shown: Shown, pins: readonly string[]): HostKeysError | undefined {
  const fingerprint = fingerprintOf(shown.key);
  if (pins.some((pin) => pin.replace(/=+$/, '') === fingerprint)) {
    return undefined;
  }
  const wanted = pins.length === 0 ? 'none was given' : `expected ${pins.join(' or ')}`;
  return refuse(
    shown,
    'HOST_KEY_CHANGED',
    `does not have the fingerprint that was asked for (${wanted}). Either the server has got a new key, or ` +
      'somebody is in between. Ask whoever runs the server before you trust the new one',
  );
}

function checkKnown(shown: Shown, verdict: HostKeyVerdict, rules: HostKeyRules): HostKeysError | undefined {
  if (verdict.status === 'trusted') {
    return undefined;
  }
  const [code, explain] = VERDICTS[verdict.status];
  return refuse(shown, code, explain(shown, verdict.entry, rules), { entry: verdict.entry });
}

type Entry = HostKeyVerdict['entry'];

const VERDICTS = {
  unknown: [
    'HOST_KEY_UNKNOWN',
    (shown, entry, rules) =>
      `is not known${entry ? `, only an authority for it (${place(entry)}), and certificates of hosts are not read here` : ''}. ` +
      'Compare the fingerprint with one from whoever runs the server; if it is the same, ' +
      `trust it with: ${scanCommand(shown, rules)}   or give it as the option fingerprint`,
  ],
  'other-type': [
    'HOST_KEY_OTHER_TYPE',
    (shown, entry, rules) =>
      `is of another type than what is known (${entry?.type}, ${place(entry)}). The server may have got a new ` +
      'key, or somebody is in between. Compare the fingerprint with one from whoever runs the server; if it is ' +
      `the same, trust it with: ${scanCommand(shown, rules)}`,
  ],
  changed: [
    'HOST_KEY_CHANGED',
    (shown, entry, rules) =>
      `HAS CHANGED: ${place(entry)} holds another one (${entry && fingerprintOf(entry.key)}). Either the server ` +
      'has got a new key, or somebody is in between. Ask whoever runs the server; only if the new one is ' +
      `right, forget the old one with: ${forgetCommand(shown, entry, rules)}   and then trust the new one with: ` +
      scanCommand(shown, rules),
  ],
  revoked: [
    'HOST_KEY_REVOKED',
    (_shown, entry) =>
      `is marked as revoked in ${place(entry)}: it must not be trusted any more. Ask whoever runs the server`,
  ],
} satisfies Record<
  Exclude<HostKeyVerdict['status'], 'trusted'>,
  [HostKeysErrorCode, (shown: Shown, entry: Entry, rules: HostKeyRules) => string]
>;

function refuse(
  shown: Shown,
  code: HostKeysErrorCode,
  what: string,
  { entry, cause }: { entry?: Entry; cause?: unknown } = {},
): HostKeysError {
  const fingerprint = fingerprintOf(shown.key);
  const type = keyType(shown.key);
  const label = type !== undefined && /^[\w@.+-]+$/.test(type) ? type : 'unreadable';
  const where = `${printable(shown.host)}:${shown.port}`;
  return new HostKeysError(code, `the host key of ${where} (${label} ${fingerprint}) ${what}`, {
    fingerprint,
    ...(type !== undefined && { keyType: label }),
    ...(entry?.file !== undefined && { file: entry.file }),
    ...(entry?.line !== undefined && { line: entry.line }),
    ...(cause !== undefined && { cause }),
  });
}

function place(entry: Entry): string {
  return entry?.file === undefined ? 'a key given by the program' : `${entry.file}:${entry.line}`;
}

function scanCommand({ host, port }: Shown, { keys, acceptNewIn, alias }: HostKeyRules): string {
  const file = acceptNewIn ?? keys?.files[0] ?? '~/.ssh/known_hosts';
  const scan = `ssh-keyscan ${port === 22 ? '' : `-p ${port} `}${host}`;
  return alias === undefined ? `${scan} >> ${file}` : `${scan} | sed 's/^[^# ]*/${alias}/' >> ${file}`;
}

function forgetCommand(shown: Shown, entry: Entry, rules: HostKeyRules): string {
  const name = hostName(...lookupName(shown, rules));
  const quoted = name.startsWith('[') ? `'${name}'` : name;
  return `ssh-keygen -R ${quoted}${entry?.file === undefined ? '' : ` -f ${entry.file}`}`;
}
