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

/** Shows both offers, and names the preset for old servers where that is what is missing. */
export function negotiationError(cause: Error, ours: Offer, theirs: ServerOffer | undefined): SshError {
  const reason = printable(cause.message.replace(/^Handshake failed: /, ''));
  const server = theirs === undefined ? 'not readable' : printable(describeOffer(theirs), 4096);
  const advice =
    theirs !== undefined && legacyWouldHelp(ours, theirs)
      ? ". The server is old and knows only what is no longer safe: update it, or accept that with cnopts: { algorithms: 'legacy' }"
      : '';
  const text = `${reason}. We offer: ${describeOffer(ours)}. The server offers: ${server}${advice}`;
  return new SshError('NEGOTIATION_FAILED', text, { cause });
}

function describeOffer(offer: Offer): string {
  return [
    `key exchange ${offer.kex.join(',')}`,
    `host keys ${offer.hostKeyAlgorithms.join(',')}`,
    `ciphers ${offer.ciphers.join(',')}`,
    `MACs ${offer.macs.join(',')}`,
    `compression ${offer.compression.join(',')}`,
  ].join('; ');
}
