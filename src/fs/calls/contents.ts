/** Whole files: read, written, appended to and copied. */
import { Buffer } from 'node:buffer';
import { constants } from 'node:fs';
import { failure } from '../../session/status-error.js';
import { directoryName } from '../../shared/remote-path.js';
import { hasCode } from '../../transfer/file-system.js';
import { type GivenPath, givenInteger, givenMode, givenPath } from '../base/arguments.js';
import { originOf } from '../base/node-error.js';
import type { View } from '../base/view.js';
import {
  readAll,
  readSettings,
  type WriteSettings,
  wholeContent,
  writeAll,
  writeSettings,
} from '../open/contents.js';
import type { DescriptorCalls } from '../open/descriptor-calls.js';
import type { Descriptor, Descriptors } from '../open/descriptors.js';
import { RemoteFileHandle } from '../open/file-handle.js';
import { type OpenFlags, parseFlags } from '../open/flags.js';
import type { OpenedFile } from '../open/opened-file.js';
import { DEFAULT_MODE, openOnServer } from '../open/opening.js';

export interface ContentParts {
  readonly view: View;
  readonly descriptors: Descriptors;
  readonly calls: DescriptorCalls;
}

export function contentCalls({ view, descriptors, calls }: ContentParts) {
  const opening = (given: GivenPath, flags: OpenFlags, mode: number) =>
    view.call({ syscall: 'open', path: given.text }, () => openOnServer(view, given, flags, mode), {
      changes: flags.creates || flags.empties,
    });

  /** Opens, works and closes. After a loss, all of it is done again where that has the same result. */
  const using = async <T>(
    given: GivenPath,
    settings: { readonly flags: OpenFlags; readonly mode?: number; readonly signal: AbortSignal | undefined },
    syscall: 'read' | 'write',
    use: (file: OpenedFile) => Promise<T>,
    isRepeatable: boolean,
  ): Promise<T> => {
    const { flags, mode = DEFAULT_MODE, signal } = settings;
    const attempt = async () => {
      const file = await opening(given, flags, mode).catch((error: unknown) => {
        // A system opens a directory for reading, and only its content cannot be read.
        const isDirectory = syscall === 'read' && hasCode(originOf(error), 'EISDIR');
        throw isDirectory ? originOf(error) : error;
      });
      let result: T;
      try {
        result = await use(file);
      } catch (error) {
        await file.close().catch(() => {});
        throw error;
      }
      await file.close();
      return result;
    };
    return view.call({ syscall }, attempt, {
      repeatable: isRepeatable,
      signal,
      changes: syscall === 'write',
    });
  };

  /** A number of the callback forms, or a handle of the promises. */
  const opened = (file: unknown, syscall: string): Descriptor | undefined => {
    if (file instanceof RemoteFileHandle) return descriptors.get(file.fd, { syscall });
    return typeof file === 'number' ? descriptors.get(file, { syscall }) : undefined;
  };

  const readFile = (file: unknown, options?: unknown): Promise<string | Buffer> => {
    const settings = readSettings(options);
    const descriptor = opened(file, 'read');
    if (descriptor !== undefined) return calls.readFile(descriptor, settings);
    const read = (each: OpenedFile) => readAll(each, settings);
    return using(givenPath(file), settings, 'read', read, !settings.flags.writes);
  };

  const write = (file: unknown, data: unknown, settings: WriteSettings): Promise<void> => {
    const descriptor = opened(file, 'write');
    if (descriptor !== undefined) return calls.writeFile(descriptor, data, settings);
    const given = givenPath(file);
    const content = wholeContent(data, settings);
    const { empties, isExclusive, appends } = settings.flags;
    const isWhole = ArrayBuffer.isView(content);
    const put = (each: OpenedFile) => writeAll(each, content, settings);
    return using(given, settings, 'write', put, isWhole && empties && !isExclusive && !appends);
  };

  return {
    open: (path: unknown, flags: unknown, mode: unknown): Promise<Descriptor> => {
      const given = givenPath(path);
      const parsed = parseFlags(flags, 'r');
      const bits = givenMode(mode, 'mode', DEFAULT_MODE);
      return opening(given, parsed, bits).then((file) => descriptors.add(file));
    },
    readFile,
    writeFile: (file: unknown, data: unknown, options?: unknown) =>
      write(file, data, writeSettings(options, 'w')),
    appendFile: (file: unknown, data: unknown, options?: unknown) =>
      write(file, data, writeSettings(options, 'a')),
    copyFile: (source: unknown, target: unknown, mode?: unknown): Promise<void> => {
      const from = givenPath(source, 'src');
      const to = givenPath(target, 'dest');
      const bits = givenInteger(mode ?? 0, 'mode', 0, 7);
      const isExclusive = (bits & constants.COPYFILE_EXCL) !== 0;
      const subject = { syscall: 'copyfile', path: from.text, dest: to.text };
      const copying = () => {
        if ((bits & constants.COPYFILE_FICLONE_FORCE) !== 0) {
          throw failure('ENOTSUP', 'copyfile', from.bytes, 'SFTP cannot clone a file');
        }
        return copy(view, from, to, isExclusive);
      };
      return view.call(subject, async () => copying(), { repeatable: !isExclusive, changes: true });
    },
    exists: (path: unknown): Promise<boolean> => {
      let given: GivenPath;
      try {
        given = givenPath(path);
      } catch {
        // As in Node, an invalid path does not exist.
        return Promise.resolve(false);
      }
      return view.look(given, 'stat', 'access').then(
        () => true,
        () => false,
      );
    },
  };
}

const SOURCE = parseFlags('r', 'r');
const NEW = parseFlags('wx', 'wx');
/** Not emptied at once: it may be the source, under another name. */
const KEPT = { ...parseFlags('w', 'w'), empties: false };
const PIECE_LENGTH = 4 * 1024 * 1024;
const PERMISSIONS = 0o7777;

/** The content and the permissions, as copyfile in libuv does. */
async function copy(view: View, from: GivenPath, to: GivenPath, isExclusive: boolean): Promise<void> {
  const source = await openOnServer(view, from, SOURCE, DEFAULT_MODE);
  try {
    const { size = 0, mode = DEFAULT_MODE, type } = await source.stat();
    if (type === 'directory') {
      // Whether there is a place for the copy counts first, as in a system; nothing is made there.
      const place = await view.resolve(to, { follows: true });
      const parent = directoryName(place);
      const { type: above } = await view.ask(parent, 'stat');
      if (above !== 'directory') throw failure('ENOTDIR', 'copyfile', place, 'it is not in a directory');
      const isTaken = isExclusive && (await isThere(view, place));
      if (isTaken) throw failure('EEXIST', 'copyfile', place, 'there is something already');
      throw failure('EISDIR', 'copyfile', from.bytes, 'it is a directory');
    }
    const permissions = mode & PERMISSIONS;
    const target = await openOnServer(view, to, isExclusive ? NEW : KEPT, permissions);
    try {
      const copied = await copyContent(source, target, size);
      await target.set({ size: copied, mode: permissions });
    } catch (error) {
      await target.close().catch(() => {});
      throw error;
    }
    await target.close();
  } finally {
    await source.close();
  }
}

function isThere(view: View, path: Buffer): Promise<boolean> {
  return view.ask(path, 'lstat').then(
    () => true,
    () => false,
  );
}

/** On the server where it can, so that the bytes do not travel. Gives the number of bytes. */
async function copyContent(source: OpenedFile, target: OpenedFile, size: number): Promise<number> {
  let copied = size > 0 && (await source.copyTo(target, size)) ? size : 0;
  const piece = Buffer.allocUnsafe(Math.max(1, Math.min(size + 1, PIECE_LENGTH)));
  for (;;) {
    const count = await source.read(piece, copied);
    if (count === 0) return copied;
    await target.write([piece.subarray(0, count)], copied);
    copied += count;
  }
}
