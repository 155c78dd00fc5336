/** `glob`: Node has it from version 22 on; here it is on every version. */
import { Buffer } from 'node:buffer';
import type { Dirent } from 'node:fs';
import { posix } from 'node:path';
import { expandBraces, isHidden, parseSegment, type Segment } from '../../connection/search/glob-pattern.js';
import { forEachLimited } from '../../shared/promises.js';
import { childPath } from '../../shared/remote-path.js';
import { hasCode } from '../../transfer/file-system.js';
import type { FileAttributes } from '../../wire/attributes.js';
import { givenOptions, givenPath, wrongType } from '../base/arguments.js';
import { direntOf } from '../base/stats.js';
import { REPEATABLE, type View } from '../base/view.js';
import { type ListedEntry, listEntries } from './directories.js';

const MAX_LISTINGS = 32;

/** A place in the tree, with what is left of each pattern there. */
interface Place {
  readonly path: Buffer;
  readonly rests: readonly (readonly Segment[])[];
}

type Exclude = (candidate: string | Dirent) => unknown;

interface Rules {
  readonly cwd: string;
  readonly withFileTypes: boolean;
  readonly isExcluded: Exclude;
}

export function globCalls(view: View) {
  const list = (directory: string, path: Buffer): Promise<ListedEntry[]> => {
    const given = givenPath(
      path.length === 0 ? directory : path[0] === 0x2f ? path : childPath(Buffer.from(directory), path),
    );
    return view
      .call({ syscall: 'scandir', path: given.text }, () => listEntries(view, given), REPEATABLE)
      .catch((error: unknown) => {
        if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'EPERM')) return [];
        throw error;
      });
  };

  async function* matches(patterns: readonly string[], rules: Rules): AsyncGenerator<string | Dirent> {
    const seen = new Set<string>();
    let places = beginnings(patterns);
    while (places.length > 0) {
      const lists: (readonly ListedEntry[])[] = [];
      await forEachLimited(places.entries(), MAX_LISTINGS, async ([index, { path }]) => {
        lists[index] = await list(rules.cwd, path);
      });
      const found = places.flatMap((place, index) => stepsInto(place, lists[index] ?? [], rules));
      for (const { text, shown, isMatch } of found) {
        if (!isMatch || seen.has(text)) continue;
        seen.add(text);
        yield shown;
      }
      places = found.flatMap(({ below }) => below);
    }
  }

  return {
    glob: (pattern: unknown, options?: unknown): AsyncGenerator<string | Dirent, void, undefined> => {
      const patterns = Array.isArray(pattern) ? pattern : [pattern];
      for (const each of patterns)
        if (typeof each !== 'string') throw wrongType('pattern', 'of type string', each);
      const { cwd, withFileTypes, exclude } = givenOptions(options);
      const directory = cwd === undefined ? '.' : givenPath(cwd, 'cwd').text;
      return matches(patterns, {
        cwd: directory,
        withFileTypes: withFileTypes === true,
        isExcluded: exclusion(exclude),
      });
    },
  };
}

interface Step {
  /** The path of an entry, and what is given for it. */
  readonly text: string;
  readonly shown: string | Dirent;
  readonly isMatch: boolean;
  /** Where to go on below it; at most one place. */
  readonly below: readonly Place[];
}

/** What in a directory matches, and what leads on. */
function stepsInto({ path, rests }: Place, entries: readonly ListedEntry[], rules: Rules): Step[] {
  const parent = posix.join(rules.cwd, path.toString());
  return entries.flatMap(({ name, attributes }) => {
    const { isMatch, below } = advance(rests, name, attributes);
    if (!isMatch && below.length === 0) return [];
    const own = childPath(path, name);
    const text = own.toString();
    const shown = rules.withFileTypes ? direntOf(name.toString(), attributes.type, parent) : text;
    if (rules.isExcluded(shown)) return [];
    return [{ text, shown, isMatch, below: below.length === 0 ? [] : [{ path: own, rests: below }] }];
  });
}

/** Each pattern, with braces expanded, at the directory in which it begins: what has no wildcard need not be looked for. */
function beginnings(patterns: readonly string[]): Place[] {
  return patterns.flatMap(expandBraces).flatMap((each) => {
    const parts = each.split('/').filter((part) => part !== '' && part !== '.');
    const segments = parts.map(parseSegment);
    const plain = segments.findIndex(({ kind }) => kind !== 'literal');
    const count = Math.max(0, plain < 0 ? segments.length - 1 : plain);
    const names = segments
      .slice(0, count)
      .flatMap((segment) => (segment.kind === 'literal' ? [segment.name] : []));
    const begin: Buffer = Buffer.from(each.startsWith('/') ? '/' : '');
    const rest = segments.slice(count);
    return rest.length === 0
      ? []
      : [{ path: names.reduce((path, name) => childPath(path, name), begin), rests: [rest] }];
  });
}

interface Advance {
  readonly isMatch: boolean;
  /** What to look for below the entry. */
  readonly below: readonly (readonly Segment[])[];
}

function advance(rests: readonly (readonly Segment[])[], name: Buffer, attributes: FileAttributes): Advance {
  const steps = rests.flatMap((rest) => advanceOne(rest, name, attributes));
  return { isMatch: steps.includes('match'), below: steps.filter((step) => step !== 'match') };
}

/** `match`, and what is left of the pattern below the entry. */
function advanceOne(
  rest: readonly Segment[],
  name: Buffer,
  attributes: FileAttributes,
): ('match' | readonly Segment[])[] {
  const [first, ...others] = rest;
  if (first === undefined) return [];
  const isDirectory = attributes.isDirectory();
  if (first.kind === 'directories') {
    const behind = advanceOne(others, name, attributes);
    if (isHidden(name)) return behind;
    const itself = others.length === 0 ? (['match'] as const) : [];
    return [...behind, ...itself, ...(isDirectory ? [rest] : [])];
  }
  if (!fits(first, name)) return [];
  const isEnd = others.every(({ kind }) => kind === 'directories');
  const leadsOn = others.length > 0 && (isDirectory || attributes.isSymbolicLink());
  return [...(isEnd ? (['match'] as const) : []), ...(leadsOn ? [others] : [])];
}

function fits(segment: Segment, name: Buffer): boolean {
  if (segment.kind === 'directories') return true;
  return segment.kind === 'literal' ? segment.name.equals(name) : segment.matches(name);
}

/** A function, or patterns for what is left out with everything below it. */
function exclusion(exclude: unknown): Exclude {
  if (typeof exclude === 'function') return (candidate) => exclude(candidate);
  if (!Array.isArray(exclude)) return () => false;
  const patterns = exclude
    .flatMap((each) => expandBraces(String(each)))
    .map((each) => each.split('/').map(parseSegment));
  return (candidate) => {
    const path = typeof candidate === 'string' ? candidate : posix.join(candidate.parentPath, candidate.name);
    const names = path.split('/').map((name) => Buffer.from(name));
    return patterns.some((pattern) => fitsWhole(pattern, names));
  };
}

function fitsWhole(pattern: readonly Segment[], names: readonly Buffer[]): boolean {
  const [first, ...rest] = pattern;
  const [name, ...others] = names;
  if (first === undefined) return name === undefined;
  if (first.kind === 'directories') {
    return fitsWhole(rest, names) || (name !== undefined && fitsWhole(pattern, others));
  }
  return name !== undefined && fits(first, name) && fitsWhole(rest, others);
}
