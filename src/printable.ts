/**
 * Text that came from a peer or a file name, made safe to show: control characters, escape sequences,
 * direction marks and lone surrogates appear as `\x1b`, `\u202e`; what is longer than `maxLength`
 * characters is cut and says so.
 *
 * @example
 * printable('\x1b[2Jgone'); // '\\x1b[2Jgone'
 */
export function printable(text: string, maxLength = 1024): string {
  const cut = text.length > maxLength;
  const shown = (cut ? text.slice(0, maxLength) : text).replace(unsafe, escapeCharacter);
  return cut ? `${shown}… (${text.length - maxLength} more characters)` : shown;
}

/** Control characters C0 and C1, direction and invisible format marks, separators, lone surrogates. */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

function escapeCharacter(character: string): string {
  const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
  const code = character.codePointAt(0) ?? 0;
  if (short[character] !== undefined) return short[character];
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`;
}
