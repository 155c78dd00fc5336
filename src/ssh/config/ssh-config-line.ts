/**
 * One line of an ssh_config file as ssh_config(5) describes it: a keyword, an optional `=`, and arguments that may
 * stand in quotes. What may be escaped, and where a comment begins, follows what OpenSSH does.
 */

/** A line with something on it. */
export interface ConfigLine {
  /** In lower case, as case does not matter. */
  readonly keyword: string;
  readonly values: readonly string[];
  /** What follows the keyword, as it stands: a command line is no list of values. */
  readonly text: string;
}

/** Gives `undefined` for a blank line or a comment. Throws a `SyntaxError` for quotes that are not closed. */
export function parseConfigLine(text: string): ConfigLine | undefined {
  const line = text.replace(/[\s\f]+$/, '').replace(/^\s+/, '');
  if (line === '' || line.startsWith('#')) {
    return undefined;
  }
  const [, quoted, bare = '', rest = ''] = /^(?:"([^"]*)"|([^\s="]+))\s*=?\s*(.*)$/s.exec(line) ?? [];
  const keyword = (quoted ?? bare).toLowerCase();
  if (keyword === '') {
    throw new SyntaxError('there is no keyword');
  }
  const values = splitValues(rest);
  if (values.length === 0) {
    throw new SyntaxError(`the keyword ${keyword} has no value`);
  }
  return { keyword, values, text: rest };
}

/** A backslash takes quotes and itself literally, and outside of quotes a space too. */
function splitValues(text: string): string[] {
  const values: string[] = [];
  let at = 0;
  while (at < text.length) {
    if (text[at] === ' ' || text[at] === '\t') {
      at++;
    } else if (text[at] === '#') {
      break;
    } else {
      const value = readValue(text, at);
      values.push(value.text);
      at = value.end;
    }
  }
  return values;
}

function readValue(text: string, start: number): { text: string; end: number } {
  let value = '';
  let quote = '';
  let at = start;
  for (; at < text.length; at++) {
    const character = text.charAt(at);
    const next = text.charAt(at + 1);
    if (character === '\\' && isEscapable(next, quote)) {
      value += next;
      at++;
    } else if (quote === '' && (character === ' ' || character === '\t')) {
      break;
    } else if (quote === '' && (character === '"' || character === "'")) {
      quote = character;
    } else if (character === quote) {
      quote = '';
    } else {
      value += character;
    }
  }
  if (quote !== '') {
    throw new SyntaxError('a quotation mark is missing');
  }
  return { text: value, end: at };
}

function isEscapable(character: string, quote: string): boolean {
  return character === '"' || character === "'" || character === '\\' || (character === ' ' && quote === '');
}
