/** Directories: listed, made and removed. */
import { Buffer } from 'node:buffer';
import { randomInt } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { posix } from 'node:path';
import { checkName } from '../../connection/search/walk.js';
import { readAttributes } from '../../session/directory-reader.js';
import { lstatWithType } from '../../session/quirks/file-type.js';
import { forEachLimited } from '../../shared/promises.js';
import { childPath } from '../../shared/remote-path.js';
import { hasCode } from '../../transfer/file-system.js';
import type { FileAttributes } from '../../wire/attributes.js';
import {
  type Encoding,
  encoded,
  type GivenPath,
  givenEncoding,
  givenMode,
  givenOptions,
  givenPath,
} from '../base/arguments.js';
import { systemError } from '../base/node-error.js';
import { direntOf } from '../base/stats.js';
import { REPEATABLE, type View } from '../base/view.js';
import { RemoteDir } from '../open/directory.js';

const DEFAULT_MODE = 0o777;
/** Listings on the way at once. */
const MAX_LISTINGS = 32;
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const RANDOM_LETTERS = 6;
const MAX_NAMES_TRIED = 100;

export interface ListedEntry {
  readonly name: Buffer;
  readonly attributes: FileAttributes;
}

/** The entries of a directory, with the type of each. */
export async function listEntries(view: View, given: GivenPath): Promise<ListedEntry[]> {
  const resolved = await view.resolve(given, { follows: true });
  const listed = await view.explained(readAttributes(view.client, resolved), 'opendir', resolved);
  await view.confirm(given, resolved, { follows: true, mustExist: true });
  const key = view.keyOf(given);
  return Promise.all(
    listed.map(async (entry) => {
      const name = Buffer.from(entry.filenameBytes);
      checkName(name, resolved);
      const isTold = entry.type !== 'unknown';
      const attributes = isTold ? entry : await lstatWithType(view.client, childPath(resolved, name));
      // A listing tells of a link what lstat would.
      view.cache.note(`lstat ${key === '/' ? '' : key}/${name.toString('latin1')}`, attributes);
      return { name, attributes };
    }),
  );
}

interface Level {
  readonly given: GivenPath;
  /** From the directory that was asked for down to here. */
  readonly below: Buffer;
}

export function directoryCalls(view: View) {
  const list = async (given: GivenPath, syscall: 'scandir' | 'opendir', recursive: boolean) => {
    const found: { readonly below: Buffer; readonly entry: ListedEntry }[] = [];
    let levels: Level[] = [{ given, below: Buffer.alloc(0) }];
    while (levels.length > 0) {
      const lists: (readonly ListedEntry[])[] = [];
      await forEachLimited(levels.entries(), MAX_LISTINGS, async ([index, { given }]) => {
        const listing = () => listEntries(view, given);
        lists[index] = await view.call({ syscall, path: given.text }, listing, REPEATABLE);
      });
      const next: Level[] = [];
      for (const [index, { below }] of levels.entries()) {
        for (const entry of lists[index] ?? []) {
          found.push({ below, entry });
          if (!recursive || !entry.attributes.isDirectory()) continue;
          const path = childPath(below, entry.name);
          next.push({ below: path, given: givenPath(childPath(given.bytes, path)) });
        }
      }
      levels = next;
    }
    return found;
  };

  const readdir = (path: unknown, options?: unknown): Promise<(string | Buffer | Dirent)[]> => {
    const given = givenPath(path);
    const { encoding: name, withFileTypes, recursive } = givenOptions(options);
    const encoding = givenEncoding(name, 'utf8');
    return list(given, 'scandir', recursive === true).then((found) =>
      found.map(({ below, entry }) =>
        withFileTypes === true
          ? direntIn(given, below, entry, encoding)
          : encoded(childPath(below, entry.name), encoding),
      ),
    );
  };

  const makeOne = (given: GivenPath, mode: number): Promise<void> => {
    const attributes = mode === DEFAULT_MODE ? {} : { mode };
    return view.changeName('mkdir', given, 'mkdir', (path) => view.client.mkdir(path, attributes));
  };

  /** What is where a directory could not be made: a directory, or the code that mkdir(1) would tell. */
  const whatIsThere = (given: GivenPath): Promise<string> => {
    return view.look(given, 'stat').then(
      (attributes) => (attributes.isDirectory() ? 'directory' : 'EEXIST'),
      (error: unknown) => {
        if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP'))
          return String((error as NodeJS.ErrnoException).code);
        throw error;
      },
    );
  };

  /** Settles if there is a directory in the end, even if another call made it. */
  const orThere = async (error: unknown, given: GivenPath): Promise<void> => {
    if (!hasCode(error, 'EEXIST', 'EISDIR', 'EACCES', 'EROFS', 'EPERM')) throw error;
    const found = await whatIsThere(given);
    if (found === 'directory') return;
    if (!hasCode(error, 'EEXIST') || found === 'EEXIST') throw error;
    throw systemError(found, { syscall: 'mkdir', path: given.text }, error);
  };

  /** Upwards to what is there, and down again; gives the first that was made. */
  const makeAll = async (given: GivenPath, mode: number): Promise<string | undefined> => {
    const parent = posix.dirname(given.text);
    const isTop = [given.text, '.'].includes(parent) || given.text === '';
    try {
      await makeOne(given, mode);
      return given.text;
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) return orThere(error, given).then(() => undefined);
      if (isTop) throw error;
    }
    const first = await makeAll(givenPath(parent), mode).catch((error: unknown) => {
      // What is in the way of the last directory exists; what is in the way of one above is no directory.
      throw hasCode(error, 'EEXIST', 'ENOENT')
        ? systemError('ENOTDIR', { syscall: 'mkdir', path: parent }, error)
        : error;
    });
    return makeOne(given, mode).then(
      () => first ?? given.text,
      (error: unknown) => orThere(error, given).then(() => first),
    );
  };

  const makeTemporary = async (prefix: unknown): Promise<string> => {
    const { text } = givenPath(prefix, 'prefix');
    for (let tried = 1; ; tried += 1) {
      const letters = Array.from({ length: RANDOM_LETTERS }, () => LETTERS[randomInt(LETTERS.length)]);
      const given = givenPath(`${text}${letters.join('')}`);
      const subject = { syscall: 'mkdtemp', path: `${text}XXXXXX` };
      const making = async () => {
        const resolved = await view.resolve(given, { follows: false });
        await view.explained(view.client.mkdir(resolved, { mode: 0o700 }), 'mkdir', resolved);
      };
      try {
        await view.call(subject, making, { changes: true });
        return given.text;
      } catch (error) {
        if (!hasCode(error, 'EEXIST') || tried === MAX_NAMES_TRIED) throw error;
      }
    }
  };

  return {
    readdir,
    opendir: (path: unknown, options?: unknown): Promise<RemoteDir> => {
      const given = givenPath(path);
      const { encoding: name, recursive } = givenOptions(options);
      const encoding = givenEncoding(name, 'utf8');
      return list(given, 'opendir', recursive === true).then(
        (found) =>
          new RemoteDir(
            given.text,
            found.map(({ below, entry }) => direntIn(given, below, entry, encoding)),
          ),
      );
    },
    mkdir: (path: unknown, options?: unknown): Promise<string | undefined> => {
      const given = givenPath(path);
      const isMode = typeof options === 'number' || typeof options === 'string';
      const { mode: givenBits, recursive } = isMode
        ? { mode: options, recursive: false }
        : givenOptions(options);
      const mode = givenMode(givenBits, 'mode', DEFAULT_MODE);
      return recursive === true ? makeAll(given, mode) : makeOne(given, mode).then(() => undefined);
    },
    mkdtemp: (prefix: unknown, options?: unknown): Promise<string | Buffer> => {
      const encoding = givenEncoding(givenOptions(options).encoding, 'utf8');
      return makeTemporary(prefix).then((made) => encoded(Buffer.from(made), encoding));
    },
  };
}

function direntIn(
  given: GivenPath,
  below: Buffer,
  { name, attributes }: ListedEntry,
  encoding: Encoding,
): Dirent {
  const parent = below.length === 0 ? given.text : posix.join(given.text, below.toString());
  return direntOf(encoded(name, encoding), attributes.type, parent);
}
