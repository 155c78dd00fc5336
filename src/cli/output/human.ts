/** Figures as people write them, and as `ls -h` does. */
import { humanBytes, humanDuration } from '../../transfer/progress.js';
import { UsageError } from './usage-error.js';

export { humanBytes, humanDuration };

/** As `ls -h` and `df -h` write it: `1.5K`. */
export function shortBytes(bytes: number): string {
  const [value = '', unit = ''] = humanBytes(bytes).split(' ');
  return unit === 'B' ? value : `${value}${unit.charAt(0)}`;
}

/** `1 file`, `2 files`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
}

const SIZE_FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

/** `2M`, `500K`, `1.5GiB` and plain bytes; the units are powers of 1024. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  if (match === null) throw new UsageError(`'${text}' is not a size: write for instance 500K, 2M or 1G`);
  return Math.round(Number(match[1]) * (SIZE_FACTORS[(match[2] ?? '').toLowerCase()] ?? 1));
}

const TIME_FACTORS: Readonly<Record<string, number>> = {
  ms: 1,
  '': 1000,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `30`, `30s`, `5m`, `2h`, `7d`, `1h30m`: milliseconds. */
export function parseDuration(text: string): number {
  const parts = [
    ...text
      .trim()
      .toLowerCase()
      .matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw]?)/g),
  ];
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text.trim().toLowerCase()) {
    throw new UsageError(`'${text}' is not a time: write for instance 30s, 5m, 2h or 7d`);
  }
  return parts.reduce((sum, [, value, unit = '']) => sum + Number(value) * (TIME_FACTORS[unit] ?? 1000), 0);
}

/** A moment: a date as `2026-05-26` or `2026-05-26T10:00`, or how long ago; seconds since 1970. */
export function parseMoment(text: string): number {
  if (/^\d{4}-\d{2}-\d{2}/.test(text)) {
    const time = Date.parse(text.length === 10 ? `${text}T00:00` : text.replace(' ', 'T'));
    if (!Number.isNaN(time)) return time / 1000;
  }
  try {
    return (Date.now() - parseDuration(text)) / 1000;
  } catch {
    throw new UsageError(`'${text}' is neither a date nor a time span: write 2026-05-26 or 7d`);
  }
}

/** A whole number from `least` on. */
export function parseCount(text: string, least = 1): number {
  const value = Number(text);
  if (!/^\d{1,9}$/.test(text) || value < least) {
    throw new UsageError(`'${text}' is not a whole number from ${least} on`);
  }
  return value;
}
