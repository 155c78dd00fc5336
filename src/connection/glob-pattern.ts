/**
 * Patterns for names, as a shell has them. A matcher of our own instead of a package: what is needed is one
 * segment at a time (the walk goes only where the pattern leads), in time that hostile names cannot stretch,
 * which translations into regular expressions do not promise; and it is less code than the adapter would be.
 */

/** Whether a name fits one segment of a pattern. */
export type NameMatcher = (name: string) => boolean;

/** One segment of a pattern, between two slashes. */
export type Segment =
  | { readonly kind: 'literal'; readonly name: string }
  | { readonly kind: 'pattern'; readonly matches: NameMatcher }
  /** `**`: any number of directories, or none. */
  | { readonly kind: 'directories' };

type Token =
  | { readonly kind: 'star' }
  | { readonly kind: 'one'; readonly fits: (character: string) => boolean };

/** `{a,b}{c,d}` means four patterns; a pattern that means more than this is a mistake, or meant to do harm. */
const MAX_ALTERNATIVES = 1000;

/** The patterns that one with braces stands for. */
export function expandBraces(pattern: string): string[] {
  const expanded: string[] = [];
  const rest = [pattern];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    const braces = firstBraces(next);
    if (braces === undefined) expanded.push(next);
    else for (const choice of braces.choices) rest.push(braces.before + choice + braces.after);
    if (rest.length + expanded.length > MAX_ALTERNATIVES) {
      throw new RangeError(`the pattern stands for more than ${MAX_ALTERNATIVES} patterns`);
    }
  }
  return expanded;
}

/** The first `{…,…}`, with what is around it. Braces without a comma, and escaped ones, are plain characters. */
function firstBraces(pattern: string) {
  for (let start = 0; start < pattern.length; start += 1) {
    if (pattern[start] === '\\') start += 1;
    else if (pattern[start] === '{') {
      const found = choicesAt(pattern, start);
      if (found !== undefined) return { ...found, before: pattern.slice(0, start) };
    }
  }
  return undefined;
}

function choicesAt(pattern: string, start: number) {
  const choices: string[] = [];
  let depth = 0;
  let from = start + 1;
  for (let at = start; at < pattern.length; at += 1) {
    const character = pattern[at];
    if (character === '\\') at += 1;
    else if (character === '{') depth += 1;
    else if (character === '}') depth -= 1;
    if (depth === 0 || (depth === 1 && character === ',')) {
      choices.push(pattern.slice(from, at));
      from = at + 1;
    }
    if (depth === 0) return choices.length > 1 ? { choices, after: pattern.slice(at + 1) } : undefined;
  }
  return undefined;
}

/** A segment, which has no `/` and no braces with choices any more. */
export function parseSegment(text: string): Segment {
  if (text === '**') return { kind: 'directories' };
  const tokens = tokensOf(text);
  if (!/[*?[]/.test(text.replace(/\\./gs, '')))
    return { kind: 'literal', name: text.replace(/\\(.)/gs, '$1') };
  const startsWithDot = /^\\?\./.test(text);
  // As in a shell: what is hidden is only found by a pattern that begins with a dot itself.
  return {
    kind: 'pattern',
    matches: (name) => (startsWithDot || !name.startsWith('.')) && matchTokens(tokens, [...name]),
  };
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const characters = [...text];
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at];
    if (character === '*') {
      if (tokens.at(-1)?.kind !== 'star') tokens.push({ kind: 'star' });
    } else if (character === '?') tokens.push({ kind: 'one', fits: () => true });
    else {
      const set = character === '[' ? parseSet(characters, at) : undefined;
      if (character === '\\' && at + 1 < characters.length) at += 1;
      const literal = characters[at];
      tokens.push({ kind: 'one', fits: set?.fits ?? ((other) => other === literal) });
      at = set?.end ?? at;
    }
  }
  return tokens;
}

/** `[a-z_]`, `[!a]`, `[^a]`, `[]]`; without an end the bracket is a plain character. */
function parseSet(characters: readonly string[], start: number) {
  const isNegated = characters[start + 1] === '!' || characters[start + 1] === '^';
  const first = start + (isNegated ? 2 : 1);
  const end = characters.indexOf(']', first + 1);
  if (end < 0) return undefined;
  const ranges: (readonly [string, string])[] = [];
  for (let at = first; at < end; at += 1) {
    const from = characters[at] ?? '';
    const isRange = characters[at + 1] === '-' && at + 2 < end;
    ranges.push([from, (isRange ? characters[at + 2] : from) ?? from]);
    if (isRange) at += 2;
  }
  const isIn = (character: string) => {
    const point = character.codePointAt(0) ?? 0;
    return ranges.some(
      ([from, to]) => (from.codePointAt(0) ?? 0) <= point && point <= (to.codePointAt(0) ?? 0),
    );
  };
  return { end, fits: (character: string) => isIn(character) !== isNegated };
}

/** After a mismatch only the last star takes one character more, which bounds the time by the lengths' product. */
function matchTokens(tokens: readonly Token[], name: readonly string[]): boolean {
  let at = 0;
  let token = 0;
  let star: { readonly token: number; at: number } | undefined;
  while (at < name.length) {
    const current = tokens[token];
    if (current?.kind === 'star') {
      star = { token, at };
      token += 1;
    } else if (current?.kind === 'one' && current.fits(name[at] ?? '')) {
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
