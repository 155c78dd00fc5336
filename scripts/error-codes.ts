// The table of error codes in docs/errors.md, from src/errors/error-codes.ts: `npm run error-codes` writes it, and a test
// compares them.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ERROR_CODES } from '../src/errors/error-codes.js';

const MARKS = ['<!-- codes: npm run error-codes -->', '<!-- /codes -->'] as const;

/** The text of docs/errors.md with the table between its marks. */
export function withCodes(text: string): string {
  const rows = Object.entries(ERROR_CODES).flatMap(([name, codes]) =>
    Object.entries(codes).map(
      ([code, { outlook, when, advice }]) =>
        `| \`${name}\` | \`${code}\` | ${outlook} | ${when} | ${advice} |`,
    ),
  );
  const table = ['| class | code | outlook | when | what to do |', '|---|---|---|---|---|', ...rows].join(
    '\n',
  );
  const [begin = -1, end = -1] = MARKS.map((mark) => text.indexOf(mark));
  if (begin < 0 || end < begin) throw new Error(`docs/errors.md lacks the marks ${MARKS.join(' and ')}`);
  return `${text.slice(0, begin)}${MARKS[0]}\n\n${table}\n\n${text.slice(end)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync('docs/errors.md', withCodes(readFileSync('docs/errors.md', 'utf8')));
}
