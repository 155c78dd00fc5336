// The tables of docs/command-line.md, from the table of commands and that of exit codes: `npm run command-line` writes them,
// and a test compares them.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from '../src/cli/commands/table.js';
import { EXIT_CODES } from '../src/cli/output/exit-codes.js';
import { usageOf } from '../src/cli/program.js';

/** The text of the document with the tables between their marks. */
export function withTables(text: string): string {
  const exits = EXIT_CODES.map(([code, when]) => `| ${code} | ${when} |`);
  const commands = COMMANDS.filter(({ isHidden }) => isHidden !== true).map(
    (spec) =>
      `| \`${spec.name} ${usageOf(spec).replace('[options] ', '').replaceAll('|', '\\|')}\` | ${spec.text} |`,
  );
  return replace(replace(text, 'exit codes', ['| code | when |', '|---|---|', ...exits]), 'commands', [
    '| command | what it does |',
    '|---|---|',
    ...commands,
  ]);
}

function replace(text: string, name: string, table: readonly string[]): string {
  const marks = [`<!-- ${name}: npm run command-line -->`, `<!-- /${name} -->`] as const;
  const [begin = -1, end = -1] = marks.map((mark) => text.indexOf(mark));
  if (begin < 0 || end < begin)
    throw new Error(`docs/command-line.md lacks the marks ${marks.join(' and ')}`);
  return `${text.slice(0, begin)}${marks[0]}\n\n${table.join('\n')}\n\n${text.slice(end)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync('docs/command-line.md', withTables(readFileSync('docs/command-line.md', 'utf8')));
}
