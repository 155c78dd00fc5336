/** One line of the table. */
export interface Leg {
  readonly label: string;
  readonly files: number;
  readonly bytes: number;
  readonly seconds: number;
  /** What was found out, where something was. */
  readonly verdict?: string;
}

const MIB = 1024 * 1024;
const HEADINGS = ['', 'files', 'bytes', 'seconds', 'MiB/s', ''] as const;

/** The figures as a small table. */
export function renderTable(legs: readonly Leg[]): string {
  const rows = legs.map(({ label, files, bytes, seconds, verdict = '' }) => [
    label,
    files.toLocaleString('en'),
    bytes.toLocaleString('en'),
    seconds.toFixed(2),
    mebibytesPerSecond(bytes, seconds),
    verdict,
  ]);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [HEADINGS, ...rows]
    .map((row) =>
      row
        .map((cell, column) => align(cell, column, widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function mebibytesPerSecond(bytes: number, seconds: number): string {
  return seconds > 0 ? (bytes / MIB / seconds).toFixed(1) : '–';
}

/** Words to the left, figures to the right. */
function align(cell: string, column: number, width: number): string {
  return column === 0 || column === HEADINGS.length - 1 ? cell.padEnd(width) : cell.padStart(width);
}
