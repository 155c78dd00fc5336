/**
 * Oddities of real servers, as switches. Each is a wrapper around the answers of a well-behaved server, in
 * one table; a new oddity is a new row.
 */
import type { AttributeValues } from '../wire/attributes.js';
import type { NameEntry } from '../wire/fields.js';
import type { Request, RequestName } from '../wire/packets.js';
import { SSH_FX } from '../wire/status.js';
import { type Answer, END_OF_FILE, failureAnswer, type Responder, statusAnswer } from './answers.js';
import { systemError } from './backend.js';
import { laterStatusOf } from './errno.js';

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
  /** A file that was written is gone after its CLOSE, as on servers that move uploads away. */
  readonly removeAfterClose?: boolean;
  /** READDIR leaves the line of `ls -l` empty. */
  readonly noLongname?: boolean;
  /** No size in any attributes, or always 0. */
  readonly size?: 'absent' | 'zero';
  /** The mode lacks the type of the file. */
  readonly noFileType?: boolean;
  /** READDIR gives at most so many entries at a time. */
  readonly maxNames?: number;
  /** Codes 9 to 31 of later drafts, where one of them is more exact. */
  readonly laterStatusCodes?: boolean;
  /** REALPATH answers `/C:/…`, and paths with a drive are understood. */
  readonly windowsPaths?: boolean;
  /** REALPATH is not supported. */
  readonly noRealpath?: boolean;
}

/** What a fault may know of the session, and do to it. */
export interface FaultContext {
  disconnect(): void;
  pathOf(handle: Uint8Array): Uint8Array | undefined;
}

type Wrapper<T> = (next: Responder, setting: T, context: FaultContext) => Responder;

/** What no wrapper can do: the session has the handles and the order of the answers. */
type SessionFault = 'maxHandles' | 'outOfOrder' | 'answersWhenQuiet';

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
  noRealpath: (next) => (request) =>
    request.kind === 'realpath' ? failureAnswer(systemError('ENOTSUP')) : next(request),
  failOn: (next, choose, context) => (request) =>
    then(ask(choose, describe(request, context)), (failure) =>
      failure === undefined ? next(request) : chosenAnswer(failure),
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
    return failure instanceof Promise ? failure.catch(hookFailure) : failure;
  } catch (error) {
    return hookFailure(error);
  }
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

function chosenAnswer(failure: ChosenFailure): Answer {
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
