/** Two sides that have no algorithm in common: one error, whatever speaks SSH. */
import { SshError } from '../errors.js';
import { printable } from '../shared/printable.js';

/** One kind of algorithm, and what each side knows of it. */
export interface OfferedLists {
  /** For people, for instance `key exchange`. */
  readonly what: string;
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
}

export const LEGACY_ADVICE =
  "The server offers only algorithms that are no longer safe. Update it, or accept them with algorithms: 'legacy'";

interface Disagreement {
  readonly reason: string;
  readonly sides: readonly OfferedLists[];
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
  const text = `No common SSH algorithm with ${printable(host)}:${port}: ${reason}. ${offers}. ${advice}`;
  return new SshError('NEGOTIATION_FAILED', text, { cause });
}

/** What only looks like one: signs that a side knows an extension. */
function isAlgorithm(name: string): boolean {
  return !/^(?:kex-strict|ext-info)-/.test(name);
}
