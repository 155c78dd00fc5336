/** Our side of the key exchange in ssh2's words, and the error for two sides that do not meet. */
import type { ConnectConfig, NegotiatedAlgorithms } from 'ssh2';
import { SshError } from '../../errors.js';
import { printable } from '../../shared/printable.js';
import { legacyWouldHelp, needsStrictKex, type Offer } from '../algorithms.js';
import { disagreement, LEGACY_ADVICE, type OfferedLists } from '../disagreement.js';
import type { Negotiated } from '../ssh-connection.js';
import type { ServerOffer } from './kexinit.js';

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
    `The server chose ${open.cipher} without strict key exchange, which is open to the Terrapin attack ` +
    '(CVE-2023-48795). Update the server';
  return new SshError('STRICT_KEX_MISSING', text);
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
      : "Try transport: 'openssh', or offer others with kex, hostKeyAlgorithms, ciphers or macs",
    cause,
  });
}

function compare(ours: Offer, theirs: ServerOffer): readonly OfferedLists[] {
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
): readonly OfferedLists[] {
  if (up.join() === down.join()) return [{ what, ours, theirs: up }];
  return [
    { what: `${what} to the server`, ours, theirs: up },
    { what: `${what} from the server`, ours, theirs: down },
  ];
}
