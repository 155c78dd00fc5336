/** Our side of the key exchange in ssh2's words, and the error for two sides that do not meet. */
import type { ConnectConfig, NegotiatedAlgorithms } from 'ssh2';
import { SshError } from '../errors.js';
import { printable } from '../printable.js';
import { legacyWouldHelp, needsStrictKex, type Offer } from './algorithms.js';
import type { ServerOffer } from './kexinit.js';
import type { Negotiated } from './ssh-connection.js';

export function toSsh2Algorithms(offer: Offer): NonNullable<ConnectConfig['algorithms']> {
  return {
    kex: [...offer.kex],
    serverHostKey: [...offer.hostKeyAlgorithms],
    cipher: [...offer.ciphers],
    hmac: [...offer.macs],
    compress: [...offer.compression],
  } as NonNullable<ConnectConfig['algorithms']>;
}

export function fromSsh2({ cs, sc, kex, serverHostKey }: NegotiatedAlgorithms): Negotiated {
  return {
    ciphers: [cs.cipher, sc.cipher],
    macs: [cs.mac || 'implicit', sc.mac || 'implicit'],
    compression: [cs.compress, sc.compress],
    kex,
    hostKeyAlgorithm: serverHostKey,
  };
}

/** A mode that is open to the Terrapin attack is taken with strict key exchange only. */
export function terrapinError(negotiated: NegotiatedAlgorithms, strict: boolean): SshError | undefined {
  const open = [negotiated.cs, negotiated.sc].find(({ cipher, mac }) => needsStrictKex(cipher, mac));
  if (open === undefined || strict) return undefined;
  const text =
    `the server wants ${open.cipher} without strict key exchange, which is open to the Terrapin attack ` +
    '(CVE-2023-48795): it should be updated';
  return new SshError('STRICT_KEX_MISSING', text);
}

/** One kind of algorithm, and what each side knows of it. */
export interface Sides {
  /** For people, for instance `key exchange`. */
  readonly what: string;
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
}

/** Two sides that do not meet: shows both offers, of the lists that have nothing in common. */
export function negotiationError(
  address: { readonly host: string; readonly port: number },
  cause: Error,
  ours: Offer,
  theirs: ServerOffer | undefined,
): SshError {
  const reason = printable(cause.message.replace(/^Handshake failed: /, ''));
  const sides = theirs === undefined ? [] : compare(ours, theirs);
  const apart = sides.filter((one) => !one.ours.some((name) => one.theirs.includes(name)));
  const isOld = theirs !== undefined && legacyWouldHelp(ours, theirs);
  return disagreement(address, {
    reason,
    sides: apart.length > 0 ? apart : sides,
    advice: isOld
      ? LEGACY_ADVICE
      : "transport: 'openssh' may know more, and the lists in cnopts offer others",
    cause,
  });
}

export const LEGACY_ADVICE =
  "The server is old and knows only what is no longer safe: update it, or accept that with cnopts: { algorithms: 'legacy' }";

interface Disagreement {
  readonly reason: string;
  readonly sides: readonly Sides[];
  readonly advice: string;
  readonly cause?: unknown;
}

/** The error, whatever speaks SSH. */
export function disagreement(
  { host, port }: { readonly host: string; readonly port: number },
  { reason, sides, advice, cause }: Disagreement,
): SshError {
  const list = (side: 'ours' | 'theirs') =>
    sides
      .map((one) => `${one.what} ${printable(one[side].filter(isAlgorithm).join(',') || 'none', 1024)}`)
      .join('; ');
  const offers =
    sides.length === 0
      ? "The server's offer is not readable"
      : `We offer: ${list('ours')}. The server offers: ${list('theirs')}`;
  const text = `cannot agree with ${printable(host)}:${port} on how to speak SSH: ${reason}. ${offers}. ${advice}`;
  return new SshError('NEGOTIATION_FAILED', text, { cause });
}

/** What only looks like one: signs that a side knows an extension. */
function isAlgorithm(name: string): boolean {
  return !/^(?:kex-strict|ext-info)-/.test(name);
}

function compare(ours: Offer, theirs: ServerOffer): readonly Sides[] {
  const { ciphers, macs, compression } = ours;
  return [
    { what: 'key exchange', ours: ours.kex, theirs: theirs.kex },
    { what: 'host keys', ours: ours.hostKeyAlgorithms, theirs: theirs.hostKeyAlgorithms },
    ...bothWays('ciphers', ciphers, [theirs.ciphers, theirs.ciphersBack]),
    ...bothWays('MACs', macs, [theirs.macs, theirs.macsBack]),
    ...bothWays('compression', compression, [theirs.compression, theirs.compressionBack]),
  ];
}

/** As a rule a server offers the same either way, and then it is told once. */
function bothWays(
  what: string,
  ours: readonly string[],
  [up, down]: readonly [readonly string[], readonly string[]],
): readonly Sides[] {
  if (up.join() === down.join()) return [{ what, ours, theirs: up }];
  return [
    { what: `${what} to the server`, ours, theirs: up },
    { what: `${what} from the server`, ours, theirs: down },
  ];
}
