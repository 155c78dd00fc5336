/** The tables of docs/platforms.md: a row for each runtime, and what failed or was left out. */
import { readFileSync, writeFileSync } from 'node:fs';

export interface PlatformRow {
  readonly name: string;
  readonly version?: string | undefined;
  /** Why it could not be tried at all. */
  readonly missing?: string;
  readonly steps: readonly {
    readonly step: string;
    readonly ms?: number;
    readonly leftOut?: string;
    readonly error?: string;
  }[];
}

/** The cells of a row; the first one tells it from the others. */
export type TableRow = readonly string[];

interface Table {
  readonly file: string;
  /** The command that makes it, which stands in the marks around it. */
  readonly made: string;
  readonly header: TableRow;
}

/** Replaces the rows of the runtimes that were tried; those of others stay as they are. */
export function writePlatforms(rows: readonly PlatformRow[], file: string): void {
  const header = ['Runtime', 'Version', 'Steps', 'Failed or left out'];
  writeTable(rows.map(rowOf), { file, made: 'npm run matrix', header });
}

/** Replaces the rows that begin alike. */
export function writeTable(rows: readonly TableRow[], { file, made, header }: Table): void {
  const [begin, end] = [`<!-- made by \`${made}\` -->\n`, `<!-- end of what \`${made}\` made -->\n`];
  const text = readFileSync(file, 'utf8');
  const [before = '', rest] = text.split(begin);
  const [old = '', after] = rest?.split(end) ?? [];
  if (after === undefined) throw new Error(`${file} lacks the marks of ${made}`);
  const lines = rows.map((cells) => `| ${cells.map(cell).join(' | ')} |`);
  const isNew = (line: string) => [header, ...rows].some(([name = '']) => line.startsWith(`| ${name} |`));
  const kept = old.split('\n').filter((line) => line.startsWith('| ') && !isNew(line));
  const table = [
    `| ${header.join(' | ')} |`,
    `|${'---|'.repeat(header.length)}`,
    ...[...kept, ...lines].sort(byName),
  ];
  writeFileSync(file, `${before}${begin}\n${table.join('\n')}\n\n${end}${after}`);
}

function byName(one: string, other: string): number {
  return one.localeCompare(other, 'en', { numeric: true });
}

function rowOf({ name, version = '', missing, steps }: PlatformRow): TableRow {
  const failed = steps.filter(({ error }) => error !== undefined);
  const leftOut = steps.filter((each) => each.leftOut !== undefined);
  const passed = steps.length - failed.length - leftOut.length;
  const words = [
    ...failed.map(({ step, error = '' }) => `**${step}** failed: ${shortened(error)}`),
    ...leftOut.map(({ step, leftOut: why = '' }) => `${step}: ${shortened(why)}`),
  ];
  const outcome = missing === undefined ? `${passed} of ${steps.length}` : 'not tried';
  return [name, version, outcome, missing === undefined ? words.join('; ') : shortened(missing)];
}

function shortened(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, 160);
}

function cell(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|');
}
