/**
 * Patterns as a shell has them, for the names of files on a server and for what ssh_config(5) and known_hosts have. A
 * matcher of our own instead of a package: names are bytes, and no text of a peer may stretch the time, which
 * translations into regular expressions do not promise.
 */
import { Buffer, isUtf8 } from 'node:buffer';

/** A character by its code point; a byte that is not part of UTF-8 by {@link STRAY} and its value. */
type Character = number;

type Token =
  | { readonly kind: 'star' }
  /** `isLiteral`: it stands for itself. */
  | { readonly kind: 'one'; readonly isLiteral: boolean; readonly fits: (character: Character) => boolean };

export type Pattern = readonly Token[];

/** Beyond every code point, so that a stray byte is a character that no other is equal to. */
const STRAY = 0x110000;

const STAR: Token = { kind: 'star' };
const ANY: Token = { kind: 'one', isLiteral: false, fits: () => true };

function literal(character: string): Token {
  const wanted = character.codePointAt(0);
  return { kind: 'one', isLiteral: true, fits: (other) => other === wanted };
}

/** `*`, `?`, sets in brackets, and `\` before a character that means itself (glob(7)). */
export function parseGlob(text: string): Pattern {
  const tokens: Token[] = [];
  const characters = [...text];
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? '';
    const set = character === '[' ? parseSet(characters, at) : undefined;
    if (character === '*') tokens.push(STAR);
    else if (character === '?') tokens.push(ANY);
    else if (set !== undefined) {
      tokens.push({ kind: 'one', isLiteral: false, fits: set.fits });
      at = set.end;
    } else if (character === '\\' && at + 1 < characters.length) {
      at += 1;
      tokens.push(literal(characters[at] ?? ''));
    } else tokens.push(literal(character));
  }
  return tokens;
}

/** Whether a pattern stands for more than one text. */
export function hasWildcard(pattern: Pattern): boolean {
  return pattern.some((token) => token.kind === 'star' || !token.isLiteral);
}

/** POSIX's classes of characters, by Unicode's properties as the C.UTF-8 locale has them. */
const CLASSES: Readonly<Record<string, RegExp>> = {
  alnum: /[\p{Alphabetic}\p{Nd}]/u,
  alpha: /\p{Alphabetic}/u,
  ascii: /\p{ASCII}/u,
  blank: /[\t\p{Zs}]/u,
  cntrl: /[\p{Cc}\p{Zl}\p{Zp}]/u,
  digit: /[0-9]/,
  graph: /[^\p{Z}\p{C}]/u,
  lower: /\p{Lowercase}/u,
  print: /[^\p{Zl}\p{Zp}\p{C}]/u,
  punct: /[\p{P}\p{S}]/u,
  space: /[\s]/u,
  upper: /\p{Uppercase}/u,
  word: /[\p{Alphabetic}\p{Nd}_]/u,
  xdigit: /[0-9A-Fa-f]/,
};

interface CharacterSet {
  readonly fits: (character: Character) => boolean;
  /** Where its `]` is. */
  readonly end: number;
}

/**
 * `[a-z_]`, `[!a]`, `[^a]`, `[]]`, `[[:alpha:]]`, `[[=a=]]`, `[[.-.]]`, and `\` before a character that means itself;
 * without an end the bracket is a plain character (IEEE Std 1003.1, section 9.3.5).
 */
function parseSet(characters: readonly string[], start: number): CharacterSet | undefined {
  const isNegated = characters[start + 1] === '!' || characters[start + 1] === '^';
  const first = start + (isNegated ? 2 : 1);
  const tests: ((character: Character) => boolean)[] = [];
  for (let at = first; at < characters.length; ) {
    if (characters[at] === ']' && at > first) {
      const fits = (character: Character) => tests.some((test) => test(character)) !== isNegated;
      return { end: at, fits };
    }
    const named = namedAt(characters, at);
    if (named?.kind === ':') {
      const pattern = CLASSES[named.name];
      tests.push((character) => character < STRAY && pattern?.test(String.fromCodePoint(character)) === true);
      at = named.next;
      continue;
    }
    const from = elementAt(characters, at);
    const isRange = characters[from.next] === '-' && (characters[from.next + 1] ?? ']') !== ']';
    const to = isRange ? elementAt(characters, from.next + 1) : from;
    tests.push((character) => from.point <= character && character <= to.point);
    at = to.next;
  }
  return undefined;
}

/** `[:name:]`, `[=c=]` or `[.c.]`. */
function namedAt(characters: readonly string[], at: number) {
  const kind = characters[at + 1] ?? '';
  if (characters[at] !== '[' || !':=.'.includes(kind) || kind === '') return undefined;
  const end = characters.findIndex(
    (each, index) => index > at + 2 && each === kind && characters[index + 1] === ']',
  );
  return end < 0 ? undefined : { kind, name: characters.slice(at + 2, end).join(''), next: end + 2 };
}

/** One character of a set, in whichever way it is written. */
function elementAt(
  characters: readonly string[],
  at: number,
): { readonly point: number; readonly next: number } {
  const named = namedAt(characters, at);
  if (named !== undefined && named.kind !== ':' && [...named.name].length === 1) {
    return { point: named.name.codePointAt(0) ?? 0, next: named.next };
  }
  const isEscaped = characters[at] === '\\' && at + 1 < characters.length;
  const position = isEscaped ? at + 1 : at;
  return { point: characters[position]?.codePointAt(0) ?? 0, next: position + 1 };
}

/** As bash counts them: a byte that is not part of UTF-8 is a character of its own. */
function charactersOf(name: Uint8Array): Character[] {
  const bytes = Buffer.from(name.buffer, name.byteOffset, name.byteLength);
  if (isUtf8(bytes)) return pointsOf(bytes.toString('utf8'));
  const characters: Character[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = [1, 2, 3, 4].find(
      (many) => at + many <= bytes.length && isUtf8(bytes.subarray(at, at + many)),
    );
    if (length === undefined) characters.push(STRAY + (bytes[at] ?? 0));
    else characters.push(...pointsOf(bytes.toString('utf8', at, at + length)));
    at += length ?? 1;
  }
  return characters;
}

function pointsOf(text: string): Character[] {
  return Array.from(text, (character) => character.codePointAt(0) ?? 0);
}

/** `*` and `?` only; every other character is itself (ssh_config(5), "PATTERNS"). */
export function parseWildcards(text: string): Pattern {
  return Array.from(text, (character) =>
    character === '*' ? STAR : character === '?' ? ANY : literal(character),
  );
}

/** Whether a text or a name fits a pattern as a whole. */
export function matches(pattern: Pattern, text: string | Uint8Array): boolean {
  return matchTokens(pattern, typeof text === 'string' ? pointsOf(text) : charactersOf(text));
}

/** After a mismatch only the last star takes one character more, which bounds the time by the lengths' product. */
function matchTokens(tokens: readonly Token[], name: readonly Character[]): boolean {
  let at = 0;
  let token = 0;
  let star: { readonly token: number; at: number } | undefined;
  while (at < name.length) {
    const current = tokens[token];
    if (current?.kind === 'star') {
      star = { token, at };
      token += 1;
    } else if (current?.kind === 'one' && current.fits(name[at] ?? 0)) {
      token += 1;
      at += 1;
    } else if (star !== undefined) {
      star.at += 1;
      at = star.at;
      token = star.token + 1;
    } else return false;
  }
  return tokens.slice(token).every(({ kind }) => kind === 'star');
}
