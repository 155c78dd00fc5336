/** What must not be shown: passwords, passphrases and answers, taken out of whatever the other side says. */
import { Buffer } from 'node:buffer';
import { SftpError } from '../errors.js';
import { printable } from './printable.js';

/** What is shorter is in every text: to take it out would tell it. */
const MINIMUM_LENGTH = 4;
const STRUCK_OUT = '***';
/** How far the causes of an error are followed. */
const MAXIMUM_CAUSES = 8;

/** What programs branch on: it comes from our own tables or from Node's, whatever a secret may be. */
const OURS = new Set(['name', 'code', 'errno', 'syscall', 'side']);

export class Redaction {
  readonly #spellings = new Set<string>();
  #pattern: RegExp | undefined;

  add(...secrets: readonly (string | undefined)[]): void {
    for (const secret of secrets) {
      if (secret === undefined || secret.length < MINIMUM_LENGTH) continue;
      for (const spelling of spellingsOf(secret)) this.#spellings.add(spelling);
      this.#pattern = undefined;
    }
  }

  readonly apply = (text: string): string => {
    if (this.#spellings.size === 0) return text;
    this.#pattern ??= patternOf(this.#spellings);
    return this.#withoutCutEnds(text.replace(this.#pattern, STRUCK_OUT));
  };

  /** Where a text was cut ({@link printable}), the beginning of a secret may be left. */
  #withoutCutEnds(text: string): string {
    if (!text.includes('…')) return text;
    return text.replace(/[^…]*(?=…)/g, (part) => {
      const end = part.toLowerCase();
      let longest = 0;
      for (const spelling of this.#spellings) {
        const start = spelling.toLowerCase();
        for (let length = start.length - 1; length >= MINIMUM_LENGTH && length > longest; length--)
          if (end.endsWith(start.slice(0, length))) longest = length;
      }
      return longest === 0 ? part : part.slice(0, -longest) + STRUCK_OUT;
    });
  }

  /** Strikes secrets out of an error of ours, of what it holds, and of its causes; gives the same error. */
  applyTo<E>(error: E): E {
    let one: unknown = error instanceof SftpError ? error : undefined;
    for (let depth = 0; depth < MAXIMUM_CAUSES && one instanceof Error; depth++) {
      this.#applyToFields(one);
      one = one.cause;
    }
    return error;
  }

  #applyToFields(error: Error): void {
    for (const name of Object.getOwnPropertyNames(error)) {
      if (OURS.has(name)) continue;
      const value: unknown = error[name as keyof Error];
      const isList = Array.isArray(value) && value.every((one) => typeof one === 'string');
      const clean = typeof value === 'string' ? this.apply(value) : isList ? value.map(this.apply) : value;
      if (String(clean) !== String(value)) Object.assign(error, { [name]: clean });
    }
  }
}

/** As it is, and as it may come back: escaped, encoded, read as Latin-1, composed in another way. */
function spellingsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  const plain = [
    secret,
    secret.trim(),
    secret.normalize('NFC'),
    secret.normalize('NFD'),
    bytes.toString('latin1'),
  ];
  const encoded = plain.flatMap((text) => [
    text,
    printable(text, Number.POSITIVE_INFINITY),
    JSON.stringify(text).slice(1, -1),
    encodeURIComponent(text.toWellFormed?.() ?? text),
  ]);
  const others = [
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ];
  return [...encoded, ...others].filter(({ length }) => length >= MINIMUM_LENGTH);
}

/** The longest first, as one secret may begin with another. */
function patternOf(spellings: ReadonlySet<string>): RegExp {
  const sorted = [...spellings].sort((one, other) => other.length - one.length);
  return new RegExp(sorted.map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|'), 'gi');
}
