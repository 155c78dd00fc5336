/** A view of a connection in the shape of node:fs: every function is made here of those of `calls/` and `open/`. */
import { Blob } from 'node:buffer';
import nodeFs from 'node:fs';
import { Connection, partsOf } from '../connection.js';
import { kindOf } from '../shared/arguments.js';
import { givenOptions } from './base/arguments.js';
import { View } from './base/view.js';
import { withCallback, withoutError, withResults } from './callbacks.js';
import { attributeCalls } from './calls/attributes.js';
import { contentCalls } from './calls/contents.js';
import { copyCalls } from './calls/copying.js';
import { directoryCalls } from './calls/directories.js';
import { globCalls } from './calls/globbing.js';
import { linkCalls } from './calls/links.js';
import { removalCalls } from './calls/removal.js';
import { DescriptorCalls } from './open/descriptor-calls.js';
import { type Descriptor, Descriptors } from './open/descriptors.js';
import { RemoteDir } from './open/directory.js';
import { RemoteFileHandle } from './open/file-handle.js';
import { readStream, type StreamFunctions, writeStream } from './open/streams.js';
import { type RemoteFsOptions, viewSettings } from './options.js';
import { refusals } from './refusals.js';
import type { RemoteFs } from './types.js';

type Operation = (...args: unknown[]) => Promise<unknown>;

/**
 * The functions of node:fs on the server of a connection: callbacks, promises, file handles and streams. Give it to a package
 * that takes an `fs` object, and the package works on the server.
 *
 * The functions need no `this`, so that they may be taken off the object. Errors are as those of node:fs (`code`, `errno`,
 * `syscall`, `path`, `dest`, the form of the message), and `cause` is tsftp's own error. See docs/fs.md for what SFTP cannot
 * tell: times are whole seconds, `access` with `W_OK` is a guess, and paths are POSIX paths.
 *
 * A package may pass over an error and give fewer files than there are. Calls that may be made twice are repeated after a
 * reconnect; `failure`, `check()` and `onFailure` tell whether one failed for good. Take one view for each job, and call
 * `check()` at its end.
 *
 * @throws TypeError | RangeError an option is invalid
 *
 * @example
 * const fs = remoteFs(sftp, { root: '/srv/www' });
 * const pages = await glob('**\/*.html', { fs, cwd: '/' });
 * await fs.check();   // rejects if the connection was lost meanwhile
 */
export function remoteFs(connection: Connection, options: RemoteFsOptions = {}): RemoteFs {
  if (!(connection instanceof Connection)) {
    throw new TypeError(`connection must be a Connection, as connect() gives it, not ${kindOf(connection)}`);
  }
  const view = new View(connection, viewSettings(options, partsOf(connection).link.retry));
  const descriptors = new Descriptors();
  const calls = new DescriptorCalls(view);
  const { open, exists, ...contents } = contentCalls({ view, descriptors, calls });
  const byPath = {
    ...attributeCalls(view),
    ...linkCalls(view),
    ...directoryCalls(view),
    ...removalCalls(view),
  };
  const { cp } = copyCalls(view, { ...byPath, ...contents, open, exists });
  const { glob } = globCalls(view);
  const shared = { ...byPath, ...contents, cp } as Readonly<Record<string, Operation>>;

  const close = (descriptor: Descriptor) =>
    view.call({ syscall: 'close' }, () => descriptors.close(descriptor));
  const streams = streamFunctions(view, descriptors, { open, close });
  const handleOf = (descriptor: Descriptor) =>
    new RemoteFileHandle({
      descriptor,
      calls,
      close,
      readStream: (fd, given) => readStream(streams, undefined, { ...given, fd }),
      writeStream: (fd, given) => writeStream(streams, undefined, { ...given, fd }),
    });

  const refused = refusals();
  const promises = {
    ...Object.fromEntries(Object.entries(shared).map(([name, operation]) => [name, promised(operation)])),
    open: async (...[path, flags, mode]: unknown[]) => handleOf(await open(path, flags, mode)),
    glob,
    watch: refused.watch,
    constants: nodeFs.constants,
  };
  const openByNumber = (...[path, flags, mode]: unknown[]) =>
    open(path, flags, mode).then(({ number }) => number);
  const globAll = async (...[pattern, given]: unknown[]) => {
    const found: unknown[] = [];
    for await (const each of glob(pattern, given)) found.push(each);
    return found;
  };
  const functions = {
    ...refused,
    ...Object.fromEntries(Object.entries(shared).map(([name, operation]) => [name, withCallback(operation)])),
    ...descriptorFunctions(descriptors, calls, close),
    realpath: Object.assign(withCallback(shared.realpath as Operation), {
      native: withCallback(shared.realpath as Operation),
    }),
    open: withCallback(openByNumber),
    // As on every system but macOS: programs call it where it is there.
    lchmod: undefined,
    exists: withoutError(exists as Operation),
    glob: withCallback(globAll),
    openAsBlob: async (path: unknown, given?: unknown) => {
      const { type } = givenOptions(given);
      const content = await contents.readFile(path);
      return new Blob([content], typeof type === 'string' ? { type } : {});
    },
    createReadStream: (path: unknown, given?: unknown) => readStream(streams, path, given),
    createWriteStream: (path: unknown, given?: unknown) => writeStream(streams, path, given),
    unwatchFile: () => {},
  };
  const all = {
    ...functions,
    ...classes(streams),
    constants: nodeFs.constants,
    promises,
    check: () => view.check(),
    get failure() {
      return view.failure;
    },
  };
  // Every name of node:fs is there; its overloads are what the tests of the types and of each package try.
  return all as unknown as RemoteFs;
}

/** Invalid arguments reject. */
function promised(operation: Operation): Operation {
  return async (...args) => operation(...args);
}

/** Those that take a number. */
function descriptorFunctions(
  descriptors: Descriptors,
  calls: DescriptorCalls,
  close: (descriptor: Descriptor) => Promise<void>,
) {
  const on = (
    syscall: string,
    use: (descriptor: Descriptor, args: unknown[]) => Promise<unknown>,
  ): Operation => {
    return (fd, ...args) => use(descriptors.get(fd, { syscall }), args);
  };
  const closing = on('close', close);
  return {
    close: (fd: unknown, callback?: unknown) => withCallback(closing)(fd, callback ?? ignoreNothing),
    read: withResults(
      on('read', (descriptor, args) => calls.read(descriptor, args)),
      'bytesRead',
      'buffer',
    ),
    readv: withResults(
      on('read', (each, [buffers, at]) => calls.readv(each, buffers, at)),
      'bytesRead',
      'buffers',
    ),
    write: withResults(
      on('write', (descriptor, args) => calls.write(descriptor, args)),
      'bytesWritten',
      'buffer',
    ),
    writev: withResults(
      on('write', (each, [buffers, at]) => calls.writev(each, buffers, at)),
      ...['bytesWritten', 'buffers'],
    ),
    fstat: withCallback(on('fstat', (each, [options]) => calls.stat(each, options))),
    fchmod: withCallback(on('fchmod', (each, [mode]) => calls.chmod(each, mode))),
    fchown: withCallback(on('fchown', (each, [uid, gid]) => calls.chown(each, uid, gid))),
    futimes: withCallback(on('futime', (each, [atime, mtime]) => calls.utimes(each, atime, mtime))),
    ftruncate: withCallback(on('ftruncate', (each, [length]) => calls.truncate(each, length))),
    fsync: withCallback(on('fsync', (each) => calls.sync(each, 'fsync'))),
    fdatasync: withCallback(on('fdatasync', (each) => calls.sync(each, 'fdatasync'))),
  };
}

/** What Node does with an error of `close` that nobody takes. */
function ignoreNothing(error: unknown): void {
  if (error !== null && error !== undefined) throw error;
}

function streamFunctions(
  view: View,
  descriptors: Descriptors,
  {
    open,
    close,
  }: {
    readonly open: (path: unknown, flags: unknown, mode: unknown) => Promise<Descriptor>;
    readonly close: (descriptor: Descriptor) => Promise<void>;
  },
): StreamFunctions {
  const fileOf = (fd: number, syscall: string) => descriptors.get(fd, { syscall }).file;
  return {
    open: (path, flags, mode, done) => {
      open(path, flags, mode).then(
        ({ number }) => process.nextTick(done, null, number),
        (error: Error) => process.nextTick(done, error),
      );
    },
    close: (fd, done) => {
      const closing = async () => close(descriptors.get(fd, { syscall: 'close' }));
      closing().then(
        () => process.nextTick(done, null),
        (error: Error) => process.nextTick(done, error),
      );
    },
    read: async (fd, target, position) =>
      view.call({ syscall: 'read' }, async () => fileOf(fd, 'read').read(target, position)),
    write: async (fd, pieces, position) =>
      view.call({ syscall: 'write' }, async () => fileOf(fd, 'write').write(pieces, position), {
        changes: true,
      }),
  };
}

/** Classes that programs compare with, and streams that they make with `new`. */
function classes(streams: StreamFunctions) {
  const { Stats, Dirent } = nodeFs;
  const ReadStream = (path: unknown, given?: unknown) => readStream(streams, path, given);
  ReadStream.prototype = nodeFs.ReadStream.prototype;
  const WriteStream = (path: unknown, given?: unknown) => writeStream(streams, path, given);
  WriteStream.prototype = nodeFs.WriteStream.prototype;
  return {
    ...{ Stats, Dirent, Dir: RemoteDir },
    ...{ ReadStream, WriteStream, FileReadStream: ReadStream, FileWriteStream: WriteStream },
    ...{ F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1 },
  };
}
