/** The words of a line in a batch or in the shell, with the quotes of `sftp`. */
import { UsageError } from '../output/usage-error.js';

/** A word, and where it lies in the line. */
export interface Word {
  /** With a backslash before those characters of patterns that mean themselves. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** The quote that is still open at the end of the line. */
  readonly openQuote: '"' | "'" | undefined;
}

/**
 * Splits at blanks. `"…"` and `'…'` keep blanks, a backslash takes the next character as it is, and `#` begins a comment.
 *
 * @throws UsageError where a quote is not closed, unless `isPartial`
 */
export function splitWords(
  line: string,
  { isPartial = false }: { readonly isPartial?: boolean } = {},
): readonly Word[] {
  const words: Word[] = [];
  let at = 0;
  for (;;) {
    while (/\s/.test(line[at] ?? '')) at += 1;
    if (at >= line.length || line[at] === '#') return words;
    const word = readWord(line, at);
    if (word.openQuote !== undefined && !isPartial) throw new UsageError('A quote is not closed');
    words.push(word);
    at = word.end;
  }
}

function readWord(line: string, start: number): Word {
  let text = '';
  let quote: Word['openQuote'];
  let at = start;
  for (; at < line.length; at += 1) {
    const character = line[at] ?? '';
    if (quote === undefined && /\s/.test(character)) break;
    if (character === '\\') {
      at += 1;
      text += escaped(line[at] ?? '', quote);
    } else if (character === quote) quote = undefined;
    else if (quote === undefined && (character === '"' || character === "'")) quote = character;
    else text += character;
  }
  return { text, start, end: Math.min(at, line.length), openQuote: quote };
}

/** In quotes a backslash is one, save before the quote, itself and what a pattern would take. */
function escaped(character: string, quote: Word['openQuote']): string {
  if (/[*?[\]{}\\]/.test(character)) return `\\${character}`;
  return quote === undefined || character === quote ? character : `\\\\${character}`;
}

/** What a word means where it is no pattern. */
export function plainText(word: string): string {
  return word.replace(/\\([*?[\]{}\\])/g, '$1');
}
