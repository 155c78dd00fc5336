/**
 * Oddities of real servers, as switches. Each is a wrapper around the answers of a well-behaved server, in
 * one table; a new oddity is a new row.
 */
import type { OptionTable } from '../shared/option-checks.js';
import type { AttributeValues } from '../wire/attributes.js';
import type { NameEntry } from '../wire/fields.js';
import { type Request, type RequestName, SSH_FXF } from '../wire/packets.js';
import { SSH_FX } from '../wire/status.js';
import { systemError } from './backends/backend.js';
import { isKnownCode, laterStatusOf } from './backends/errno.js';
import {
  END_OF_FILE,
  failureAnswer,
  type Responder,
  type ServerAnswer,
  statusAnswer,
} from './sftp/answers.js';

/** One request, as hooks see it. */
export interface SeenRequest {
  readonly kind: RequestName;
  /** The path it is about; for requests on a handle the path that was opened. */
  readonly path: string | undefined;
  /** The second path of RENAME and SYMLINK. */
  readonly otherPath: string | undefined;
  /** The name of an extended request, for instance `posix-rename@openssh.com`. */
  readonly extension: string | undefined;
  /** Of READ and WRITE. */
  readonly offset: number | undefined;
  readonly length: number | undefined;
}

/** A failure: Node's code, which is sent as OpenSSH would send it, or a status of one's own. */
export type ChosenFailure = string | number | { readonly status: number; readonly message: string };

/**
 * What the server does differently from OpenSSH's. All are off unless named.
 *
 * @example
 * await using server = await startServer({ files: {} }, {
 *   faults: {
 *     maxReadLength: 1000,
 *     failOn: ({ kind, offset = 0 }) => (kind === 'write' && offset > 1e6 ? 'ENOSPC' : undefined),
 *   },
 * });
 */
export interface Faults {
  /** Called before each request; what it gives is the answer instead. A promise delays the request. */
  readonly failOn?: (request: SeenRequest) => ChosenFailure | undefined | Promise<ChosenFailure | undefined>;
  /** Cuts the connection when a session has had so many requests, or so many bytes of file content. */
  readonly disconnectAfter?: { readonly requests?: number; readonly bytes?: number };
  /** More open handles than this fail with "Too many open files"; `limits@openssh.com` tells the figure. */
  readonly maxHandles?: number;
  /** READ gives at most so many bytes. */
  readonly maxReadLength?: number;
  /** The next request is looked at only when the answer to the one before has been sent, one turn later. */
  readonly oneAtATime?: boolean;
  /**
   * Answers only when nothing more has been asked for so many milliseconds, as if the line were so long: what is asked
   * for together is then one of the `turns` that are counted.
   */
  readonly answersWhenQuiet?: number;
  /** Requests that came together are answered in reverse. */
  readonly outOfOrder?: boolean;
  /** WRITE fails unless it continues at the file's end. */
  readonly sequentialWrites?: boolean;
  /** SETSTAT and FSETSTAT fail. */
  readonly refuseSetstat?: boolean;
  /** FSETSTAT fails, and SETSTAT does not, as in Twisted Conch. */
  readonly refuseFsetstat?: boolean;
  /** An OPEN that brings permissions fails, as in ProFTPD where `SITE_CHMOD` is denied. */
  readonly refuseOpenMode?: boolean;
  /** OPEN takes those combinations of flags only that Node's `fs.open` has a name for, as servers on ssh2's `flagsToString`. */
  readonly fixedOpenFlags?: boolean;
  /** What OPEN for writing empties, whatever TRUNC says: nothing, what may be made (CREAT) too, or every file. */
  readonly truncation?: 'never' | 'creat' | 'always';
  /** OPEN with EXCL opens what is there, and does not empty it, as Erlang's `ssh_sftpd`. Default: it is refused. */
  readonly ignoresExclusive?: boolean;
  /** What OPEN makes of APPEND: a plain failure, or nothing, as Go's `pkg/sftp`. Default: writes go to the end. */
  readonly append?: 'refused' | 'ignored';
  /** A plain failure where a name does not exist. */
  readonly vagueErrors?: boolean;
  /**
   * Several requests are worked on at once, and a WRITE takes the longest; only a CLOSE waits for those before it. So
   * it is in Go's `pkg/sftp`, whose extensions are announced unless others are given.
   */
  readonly workers?: boolean;
  /** From the third open handle on some are given twice, as by Erlang's `ssh_sftpd`. */
  readonly handlesTwice?: boolean;
  /** A file that was written is gone after its CLOSE, as on servers that move uploads away. */
  readonly removeAfterClose?: boolean;
  /** READDIR leaves the line of `ls -l` empty. */
  readonly noLongname?: boolean;
  /** READDIR gives a line of another form than that of `ls -l`. */
  readonly oddLongname?: boolean;
  /** READDIR gives no names behind the last one, instead of an end of file. */
  readonly emptyNameAtEnd?: boolean;
  /** READDIRs that come together are all answered with the same names. */
  readonly repeatsNames?: boolean;
  /** A request that comes before the last one has been answered fails. */
  readonly noPipelining?: boolean;
  /** No size in any attributes, or always 0. */
  readonly size?: 'absent' | 'zero';
  /** The mode lacks the type of the file. */
  readonly noFileType?: boolean;
  /** READDIR gives at most so many entries at a time. */
  readonly maxNames?: number;
  /** A STATUS tells the reason, as "No space left on device", where OpenSSH's says no more than "Failure". */
  readonly reasons?: boolean;
  /** Codes 9 to 31 of later drafts, where one of them is more exact. */
  readonly laterStatusCodes?: boolean;
  /** REALPATH answers `/C:/…`, and paths with a drive are understood. */
  readonly windowsPaths?: boolean;
  /** REALPATH is not supported, or says that there is no such file. */
  readonly noRealpath?: boolean | 'ENOENT';
}

export const FAULTS: OptionTable<Faults> = {
  failOn: 'function',
  append: 'checked',
  reasons: 'checked',
  disconnectAfter: 'checked',
  maxHandles: 'number',
  maxReadLength: 'number',
  oneAtATime: 'boolean',
  answersWhenQuiet: 'number',
  outOfOrder: 'boolean',
  sequentialWrites: 'boolean',
  refuseSetstat: 'boolean',
  refuseFsetstat: 'boolean',
  refuseOpenMode: 'boolean',
  fixedOpenFlags: 'boolean',
  ignoresExclusive: 'boolean',
  truncation: 'checked',
  vagueErrors: 'boolean',
  workers: 'boolean',
  handlesTwice: 'boolean',
  removeAfterClose: 'boolean',
  noLongname: 'boolean',
  oddLongname: 'boolean',
  emptyNameAtEnd: 'boolean',
  repeatsNames: 'boolean',
  noPipelining: 'boolean',
  size: 'checked',
  noFileType: 'boolean',
  maxNames: 'number',
  laterStatusCodes: 'boolean',
  windowsPaths: 'boolean',
  noRealpath: 'checked',
};

/** What a fault may know of the session, and do to it. */
export interface FaultContext {
  disconnect(): void;
  pathOf(handle: Uint8Array): Uint8Array | undefined;
}

type Wrapper<T> = (next: Responder, setting: T, context: FaultContext) => Responder;

/** What no wrapper can do: the session has the handles and the order of the answers. */
type SessionFault = 'maxHandles' | 'outOfOrder' | 'answersWhenQuiet' | 'handlesTwice' | 'noPipelining';

const ODD_LONGNAME = Buffer.from('01-01-2024  12:00AM  ');

/** From the innermost to the outermost. */
const wrappers: { readonly [N in Exclude<keyof Faults, SessionFault>]-?: Wrapper<NonNullable<Faults[N]>> } = {
  removeAfterClose: (next, _, context) => {
    const written = new Set<string>();
    return (request) => {
      const key = 'handle' in request ? Buffer.from(request.handle).toString('hex') : '';
      if (request.kind === 'write') written.add(key);
      if (request.kind !== 'close' || !written.delete(key)) return next(request);
      const path = context.pathOf(request.handle);
      const answer = next(request);
      if (path !== undefined) void next({ kind: 'remove', id: request.id, path });
      return answer;
    };
  },
  sequentialWrites: (next) => (request) => {
    if (request.kind !== 'write') return next(request);
    const { id, handle } = request;
    return then(next({ kind: 'fstat', id, handle }), (answer) => {
      if (answer.kind === 'attrs' && answer.attributes.size !== request.offset) {
        return statusAnswer(SSH_FX.FAILURE, 'Only sequential writes are supported');
      }
      return next(request);
    });
  },
  maxReadLength: (next, maximum) => (request) =>
    next(request.kind === 'read' ? { ...request, length: Math.min(request.length, maximum) } : request),
  refuseSetstat: (next) => (request) =>
    request.kind === 'setstat' || request.kind === 'fsetstat'
      ? statusAnswer(SSH_FX.PERMISSION_DENIED, 'Permission denied')
      : next(request),
  refuseFsetstat: (next) => (request) =>
    request.kind === 'fsetstat' ? statusAnswer(SSH_FX.FAILURE, 'Failure') : next(request),
  refuseOpenMode: (next) => (request) =>
    request.kind === 'open' && request.attributes.mode !== undefined
      ? statusAnswer(SSH_FX.PERMISSION_DENIED, 'Permission denied')
      : next(request),
  truncation: (next, how) => (request) => {
    if (request.kind !== 'open' || (request.flags & SSH_FXF.WRITE) === 0) return next(request);
    const { flags } = request;
    if (how === 'never') return next({ ...request, flags: flags & ~SSH_FXF.TRUNC });
    const empties = how === 'always' || (flags & SSH_FXF.CREAT) !== 0;
    return next(empties ? { ...request, flags: flags | SSH_FXF.TRUNC } : request);
  },
  ignoresExclusive: (next) => (request) => {
    const { TRUNC, EXCL } = SSH_FXF;
    if (request.kind !== 'open' || (request.flags & EXCL) === 0) return next(request);
    return next({ ...request, flags: request.flags & ~(EXCL | TRUNC) });
  },
  fixedOpenFlags: (next) => (request) =>
    request.kind === 'open' && !NAMED_FLAGS.has(request.flags)
      ? statusAnswer(SSH_FX.FAILURE, 'Unknown flags')
      : next(request),
  append: (next, how) => (request) => {
    if (request.kind !== 'open' || (request.flags & SSH_FXF.APPEND) === 0) return next(request);
    if (how === 'refused') return statusAnswer(SSH_FX.FAILURE, 'Failure');
    return next({ ...request, flags: request.flags & ~SSH_FXF.APPEND });
  },
  vagueErrors: (next) => (request) =>
    then(next(request), (answer) =>
      answer.kind === 'status' && answer.status === SSH_FX.NO_SUCH_FILE
        ? statusAnswer(SSH_FX.FAILURE, 'Failure')
        : answer,
    ),
  workers: (next) => {
    const writing = new Map<string, Promise<unknown>>();
    return async (request) => {
      const key = 'handle' in request ? Buffer.from(request.handle).toString('hex') : '';
      if (request.kind === 'close') await writing.get(key);
      if (request.kind !== 'write') return next(request);
      const answer = new Promise((resolve) => setTimeout(resolve, WORK_MS)).then(() => next(request));
      const all = Promise.allSettled([writing.get(key), answer]);
      writing.set(key, all);
      void all.then(() => writing.get(key) === all && writing.delete(key));
      return answer;
    };
  },
  maxNames: (next, maximum) => {
    const pending = new Map<string, NameEntry[]>();
    return (request) => {
      if (request.kind !== 'readdir' && request.kind !== 'close') return next(request);
      const key = Buffer.from(request.handle).toString('hex');
      if (request.kind === 'close') pending.delete(key);
      if (request.kind === 'close') return next(request);
      const kept = pending.get(key) ?? [];
      if (kept.length > 0) return { kind: 'name', names: kept.splice(0, maximum) };
      return then(next(request), (answer) => {
        if (answer.kind !== 'name') return answer;
        const names = answer.names.map(copyOfEntry);
        pending.set(key, names);
        return names.length === 0 ? END_OF_FILE : { kind: 'name', names: names.splice(0, maximum) };
      });
    };
  },
  repeatsNames: (next) => {
    const answered = new Map<string, ServerAnswer | Promise<ServerAnswer>>();
    return (request) => {
      if (request.kind !== 'readdir') return next(request);
      const key = Buffer.from(request.handle).toString('hex');
      const answer = answered.get(key) ?? next(request);
      if (!answered.has(key)) setImmediate(() => answered.delete(key));
      answered.set(key, answer);
      return answer;
    };
  },
  emptyNameAtEnd: (next) => (request) =>
    then(next(request), (answer) =>
      request.kind === 'readdir' && answer === END_OF_FILE ? { kind: 'name', names: [] } : answer,
    ),
  oddLongname: (next) =>
    mapNames(next, (entry) => ({ ...entry, longname: Buffer.concat([ODD_LONGNAME, entry.filename]) })),
  noLongname: (next) => mapNames(next, (entry) => ({ ...entry, longname: Buffer.alloc(0) })),
  size: (next, how) =>
    mapAttributes(next, (attributes) => ({ ...attributes, size: how === 'zero' ? 0 : undefined })),
  noFileType: (next) =>
    mapAttributes(next, (attributes) => ({
      ...attributes,
      mode: attributes.mode === undefined ? undefined : attributes.mode & 0o7777,
    })),
  windowsPaths: (next) => (request) =>
    then(next(withoutDrives(request)), (answer) => {
      if (request.kind !== 'realpath' || answer.kind !== 'name') return answer;
      const drive = Buffer.from('/C:');
      const names = answer.names.map((entry) => ({
        ...entry,
        filename: Buffer.concat([drive, entry.filename]),
        longname: Buffer.concat([drive, entry.longname]),
      }));
      return { kind: 'name', names };
    }),
  noRealpath: (next, how) => (request) =>
    request.kind === 'realpath'
      ? failureAnswer(systemError(how === 'ENOENT' ? how : 'ENOTSUP'))
      : next(request),
  failOn: (next, choose, context) => (request) =>
    then(ask(choose, describe(request, context)), (failure) =>
      failure === undefined ? next(request) : chosenAnswer(failure),
    ),
  reasons: (next) => (request) =>
    then(next(request), (answer) =>
      answer.kind === 'status' && answer.reason !== undefined
        ? { ...answer, message: answer.reason }
        : answer,
    ),
  laterStatusCodes: (next) => (request) =>
    then(next(request), (answer) => {
      const later = answer.code === undefined ? undefined : laterStatusOf(answer.code);
      return later === undefined || answer.kind !== 'status' ? answer : { ...answer, status: later };
    }),
  disconnectAfter: (next, { requests = Infinity, bytes = Infinity }, context) => {
    let requestsLeft = requests;
    let bytesLeft = bytes;
    return (request) =>
      then(next(request), (answer) => {
        requestsLeft -= 1;
        if (request.kind === 'write') bytesLeft -= lengthOf(request.data);
        if (answer.kind === 'data') bytesLeft -= lengthOf(answer.data);
        if (requestsLeft <= 0 || bytesLeft <= 0) context.disconnect();
        return answer;
      });
  },
  oneAtATime: (next) => async (request) => {
    await new Promise((resolve) => setImmediate(resolve));
    return next(request);
  },
};

/** How much longer a WRITE takes than what comes after it. */
const WORK_MS = 2;

/** Of `r`, `r+`, `w`, `w+`, `wx`, `wx+`, `a`, `a+`, `ax` and `ax+`. */
const NAMED_FLAGS: ReadonlySet<number> = (() => {
  const { READ, WRITE, CREAT, TRUNC, EXCL, APPEND } = SSH_FXF;
  const ways = [TRUNC, TRUNC | EXCL, APPEND, APPEND | EXCL].map((way) => WRITE | CREAT | way);
  return new Set([READ, READ | WRITE, ...ways, ...ways.map((way) => READ | way)]);
})();

/** The responder with the chosen faults around it. */
export function applyFaults(responder: Responder, faults: Faults, context: FaultContext): Responder {
  let wrapped = responder;
  for (const name of Object.keys(wrappers) as (keyof typeof wrappers)[]) {
    const setting = faults[name];
    if (setting === undefined || setting === false) continue;
    const wrap = wrappers[name] as Wrapper<unknown>;
    wrapped = wrap(wrapped, setting, context);
  }
  return wrapped;
}

/** Goes on at once where the value is there at once: the order of the answers and the speed depend on it. */
function then<T, R>(value: T | Promise<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** A hook that throws makes the request fail, with the error's message for the client to see. */
function ask(
  choose: NonNullable<Faults['failOn']>,
  request: SeenRequest,
): ChosenFailure | undefined | Promise<ChosenFailure | undefined> {
  try {
    const failure = choose(request);
    return failure instanceof Promise ? failure.then(checkFailure).catch(hookFailure) : checkFailure(failure);
  } catch (error) {
    return hookFailure(error);
  }
}

function checkFailure(failure: ChosenFailure | undefined): ChosenFailure | undefined {
  if (typeof failure !== 'string' || isKnownCode(failure)) return failure;
  throw new TypeError(
    `'${failure}' is not a code that can be sent: use for instance 'EACCES', or { status, message }`,
  );
}

function hookFailure(error: unknown): ChosenFailure {
  return { status: SSH_FX.FAILURE, message: `failOn: ${error instanceof Error ? error.message : 'failed'}` };
}

function mapNames(next: Responder, map: (entry: NameEntry) => NameEntry): Responder {
  return (request) =>
    then(next(request), (answer) =>
      answer.kind === 'name' ? { ...answer, names: answer.names.map(map) } : answer,
    );
}

function mapAttributes(next: Responder, map: (attributes: AttributeValues) => AttributeValues): Responder {
  const names = mapNames(next, (entry) => ({ ...entry, attributes: map(entry.attributes) }));
  return (request) =>
    then(names(request), (answer) =>
      answer.kind === 'attrs' ? { ...answer, attributes: map(answer.attributes) } : answer,
    );
}

function copyOfEntry(entry: NameEntry): NameEntry {
  return { ...entry };
}

function lengthOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

function chosenAnswer(failure: ChosenFailure): ServerAnswer {
  if (typeof failure === 'string') return failureAnswer(systemError(failure));
  return typeof failure === 'number' ? statusAnswer(failure) : statusAnswer(failure.status, failure.message);
}

/** `/C:/x`, `C:/x` and `C:\x` → `/x`, in every path of the request. */
function withoutDrives(request: Request): Request {
  const copy: Record<string, unknown> = { ...request };
  for (const field of ['path', 'oldPath', 'newPath', 'linkPath', 'targetPath']) {
    const value = copy[field];
    if (!(value instanceof Uint8Array)) continue;
    const text = Buffer.from(value).toString('latin1');
    const path = text.replace(/^\/?[a-z]:(?=[\\/]|$)/i, '').replace(/\\/g, '/');
    copy[field] = Buffer.from(path === '' && text !== '' ? '/' : path, 'latin1');
  }
  return copy as unknown as Request;
}

/** The request as hooks see it. */
function describe(request: Request, context: Pick<FaultContext, 'pathOf'>): SeenRequest {
  const fields: Readonly<Record<string, unknown>> = { ...request };
  const path = fields.path ?? fields.oldPath ?? fields.linkPath;
  const handle = fields.handle;
  const opened = handle instanceof Uint8Array ? context.pathOf(handle) : undefined;
  return {
    kind: request.kind,
    path: textOf(path ?? opened),
    otherPath: textOf(fields.newPath ?? fields.targetPath),
    extension: request.kind === 'extended' ? request.name : undefined,
    offset: request.kind === 'read' || request.kind === 'write' ? request.offset : undefined,
    length:
      request.kind === 'read'
        ? request.length
        : request.kind === 'write'
          ? lengthOf(request.data)
          : undefined,
  };
}

function textOf(value: unknown): string | undefined {
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : undefined;
}
