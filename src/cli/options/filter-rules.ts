/** Patterns that include and exclude, in the order in which they were given. */
import { readFileSync } from 'node:fs';
import picomatch from 'picomatch';
import { UsageError } from '../output/usage-error.js';
import type { OptionValues } from './option-table.js';

/** What is known of an entry. */
export interface FilteredEntry {
  /** Below the directory that is looked at, with `/`. */
  readonly path: string;
  readonly isDirectory: boolean;
  readonly isFile: boolean;
  readonly size: number | undefined;
  /** Seconds since 1970. */
  readonly mtime: number | undefined;
}

interface Rule {
  readonly isIncluded: boolean;
  readonly fits: (path: string, isDirectory: boolean) => boolean;
}

/** A rule with its place among all that were given: the order counts across the options of this kind. */
interface GivenRule extends Rule {
  readonly sequence: number;
}

let sequence = 0;

/** For the table of options: the value is the list of rules of that option. */
export function ruleParser(
  kind: 'include' | 'exclude' | 'file',
): (text: string, before?: readonly GivenRule[]) => readonly GivenRule[] {
  return (text, before = []) => {
    const patterns = kind === 'file' ? linesOf(text) : [text];
    const rules = patterns.map((pattern) => {
      sequence += 1;
      return { ...makeRule(pattern, kind === 'include'), sequence };
    });
    return [...before, ...rules];
  };
}

function keeps(rules: readonly Rule[], path: string, isDirectory: boolean): boolean {
  const rule = rules.find(({ fits }) => fits(path, isDirectory));
  if (rule !== undefined) return rule.isIncluded;
  const onlyIncludes = rules.length > 0 && rules.every(({ isIncluded }) => isIncluded);
  // What is included may lie below any directory.
  return isDirectory || !onlyIncludes;
}

/** The test for an entry; `undefined` where everything counts. */
export function entryFilter(values: OptionValues): ((entry: FilteredEntry) => boolean) | undefined {
  const rules = ['include', 'exclude', 'excludeFrom']
    .flatMap((name) => (values[name] ?? []) as readonly GivenRule[])
    .sort((a, b) => a.sequence - b.sequence);
  const number = (name: string) => values[name] as number | undefined;
  const { newerThan, olderThan, minSize, maxSize } = {
    newerThan: number('newerThan'),
    olderThan: number('olderThan'),
    minSize: number('minSize'),
    maxSize: number('maxSize'),
  };
  const isLimited = [newerThan, olderThan, minSize, maxSize].some((limit) => limit !== undefined);
  if (rules.length === 0 && !isLimited) return undefined;
  return ({ path, isDirectory, isFile, size = 0, mtime = 0 }) => {
    if (!keeps(rules, path, isDirectory)) return false;
    if (!isFile) return true;
    return (
      mtime >= (newerThan ?? Number.NEGATIVE_INFINITY) &&
      mtime <= (olderThan ?? Number.POSITIVE_INFINITY) &&
      size >= (minSize ?? 0) &&
      size <= (maxSize ?? Number.POSITIVE_INFINITY)
    );
  };
}

/**
 * `*.o` fits names at any depth, `/build` and `docs/*.md` paths from the top, `cache/` directories only. As for rsync and
 * gitignore.
 */
function makeRule(pattern: string, isIncluded: boolean): Rule {
  const isDirectoryOnly = pattern.endsWith('/');
  const bare = pattern.replace(/\/+$/, '');
  const fromTop = bare.replace(/^\.?\//, '');
  if (fromTop === '') throw new UsageError(`The pattern '${pattern}' fits nothing`);
  const fits = picomatch(fromTop, { dot: true, basename: !bare.includes('/') });
  return { isIncluded, fits: (path, isDirectory) => (isDirectory || !isDirectoryOnly) && fits(path) };
}

function linesOf(file: string): readonly string[] {
  return readFileSync(file, 'utf8')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}
