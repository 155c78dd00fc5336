/**
 * Text that came from a peer or a file name, made safe to show: control characters, escape sequences,
 * direction marks and lone surrogates appear as `\x1b`, `\u202e`. What is shown has at most `maxLength`
 * characters, escapes included; if that cuts the text, a short remark says so (960 and the remark stay
 * below 1 KiB).
 *
 * @example
 * printable('\x1b[2Jgone'); // '\\x1b[2Jgone'
 */
export function printable(text: string, maxLength = 960): string {
  if (text.length <= maxLength && !unsafe.test(text)) return text;
  let shown = '';
  let done = 0;
  for (const character of text) {
    const piece = unsafe.test(character) ? escapeCharacter(character) : character;
    if (shown.length + piece.length > maxLength) return `${shown}… (${text.length - done} more characters)`;
    shown += piece;
    done += character.length;
  }
  return shown;
}

/** Control characters C0 and C1, direction and invisible format marks, separators, lone surrogates. */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

function escapeCharacter(character: string): string {
  const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
  const code = character.codePointAt(0) ?? 0;
  if (short[character] !== undefined) return short[character];
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`;
}
