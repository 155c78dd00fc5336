/** The segments of a pattern for paths, as bash has them. */
import { Buffer } from 'node:buffer';
import { hasWildcard, matches, parseGlob } from '../../shared/pattern.js';

/** Whether a name fits one segment of a pattern. */
export type NameMatcher = (name: Uint8Array) => boolean;

/** One segment of a pattern, between two slashes. */
export type Segment =
  | { readonly kind: 'literal'; readonly name: Buffer }
  | { readonly kind: 'pattern'; readonly matches: NameMatcher }
  /** `**`: any number of directories, or none. */
  | { readonly kind: 'directories' };

/** `{a,b}{c,d}` stands for four patterns; one that stands for more than this is a mistake, or an attack. */
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
      throw new RangeError(`The pattern stands for more than ${MAX_ALTERNATIVES} patterns: use fewer braces`);
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
  const pattern = parseGlob(text);
  if (!hasWildcard(pattern)) return { kind: 'literal', name: Buffer.from(text.replace(/\\(.)/gsu, '$1')) };
  const startsWithDot = /^\\?\./.test(text);
  // As in a shell: what is hidden is only found by a pattern that begins with a dot itself.
  return {
    kind: 'pattern',
    matches: (name) => (startsWithDot || !isHidden(name)) && matches(pattern, name),
  };
}

/** Whether a name begins with a dot. */
export function isHidden(name: Uint8Array): boolean {
  return name[0] === 0x2e;
}
