/** The table of docs/platforms.md: a row for each runtime, and what failed or was left out. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

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

const BEGIN = '<!-- made by `npm run matrix` -->';
const END = '<!-- end of what `npm run matrix` made -->';

/** Replaces the rows of the runtimes that were tried; those of others stay as they are. */
export function writePlatforms(rows: readonly PlatformRow[], file: string): void {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : `# Platforms\n\n${BEGIN}\n${END}\n`;
  const [before = '', rest = ''] = text.split(`${BEGIN}\n`);
  const [old = '', after = ''] = rest.split(`${END}\n`);
  const kept = old.split('\n').filter((line) => line.startsWith('| ') && !isRowOf(line, rows));
  const lines = [...kept.filter((line) => !line.startsWith('| Runtime')), ...rows.map(lineOf)];
  const table = [
    '| Runtime | Version | Steps | Failed or left out |',
    '|---|---|---|---|',
    ...lines.sort(byName),
  ];
  writeFileSync(file, `${before}${BEGIN}\n\n${table.join('\n')}\n\n${END}\n${after}`);
}

function isRowOf(line: string, rows: readonly PlatformRow[]): boolean {
  return rows.some(({ name }) => line.startsWith(`| ${name} |`));
}

function byName(one: string, other: string): number {
  return one.localeCompare(other, 'en', { numeric: true });
}

function lineOf({ name, version = '', missing, steps }: PlatformRow): string {
  const failed = steps.filter(({ error }) => error !== undefined);
  const leftOut = steps.filter((each) => each.leftOut !== undefined);
  const passed = steps.length - failed.length - leftOut.length;
  const words = [
    ...failed.map(({ step, error = '' }) => `**${step}** failed: ${cell(error)}`),
    ...leftOut.map(({ step, leftOut: why = '' }) => `${step}: ${cell(why)}`),
  ];
  const outcome = missing === undefined ? `${passed} of ${steps.length}` : 'not tried';
  return `| ${name} | ${version} | ${outcome} | ${missing === undefined ? words.join('; ') : cell(missing)} |`;
}

function cell(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').slice(0, 160);
}
