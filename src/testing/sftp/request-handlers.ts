/** What the server does for each request (draft-ietf-secsh-filexfer-02, section 6), as a table. */
import { ProtocolError } from '../../errors.js';
import { type Request, type RequestName, SSH_FXF } from '../../wire/packets.js';
import { END_OF_FILE, failureAnswer, nameAnswer, OK, type Responder, type ServerAnswer } from './answers.js';
import { answerExtension } from './extension-handlers.js';
import { nameEntry } from './listing.js';
import { absolute, MAX_READ_LENGTH, type SessionState } from './session-state.js';

const NAMES_PER_REPLY = 100;

type Handler<N extends RequestName> = (
  request: Extract<Request, { kind: N }>,
  state: SessionState,
) => ServerAnswer | Promise<ServerAnswer>;

const handlers: { readonly [N in RequestName]: Handler<N> } = {
  open: ({ path, flags, attributes }, { handles, backend, home }) => {
    const has = (flag: number) => (flags & flag) !== 0;
    const options = {
      read: has(SSH_FXF.READ) || !has(SSH_FXF.WRITE),
      write: has(SSH_FXF.WRITE),
      append: has(SSH_FXF.APPEND),
      create: has(SSH_FXF.CREAT),
      truncate: has(SSH_FXF.TRUNC),
      exclusive: has(SSH_FXF.EXCL),
      mode: attributes.mode,
    };
    const target = absolute(home, path);
    const handle = handles.add(target, () => ({ kind: 'file', file: backend.open(target, options) }));
    return { kind: 'handle', handle };
  },
  close: ({ handle }, { handles }) => {
    handles.close(handle);
    return OK;
  },
  read: ({ handle, offset, length }, { handles }) => {
    const data = handles.file(handle).read(offset, Math.min(length, MAX_READ_LENGTH));
    return data.length === 0 && length > 0 ? END_OF_FILE : { kind: 'data', data: [data] };
  },
  write: ({ handle, offset, data }, { handles }) => {
    handles.file(handle).write(offset, data);
    return OK;
  },
  lstat: ({ path }, { backend, home }) => ({
    kind: 'attrs',
    attributes: backend.lstat(absolute(home, path)),
  }),
  fstat: ({ handle }, { handles }) => ({ kind: 'attrs', attributes: handles.file(handle).stat() }),
  setstat: ({ path, attributes }, { backend, home }) => {
    backend.setstat(absolute(home, path), attributes);
    return OK;
  },
  fsetstat: ({ handle, attributes }, { handles }) => {
    handles.file(handle).setstat(attributes);
    return OK;
  },
  opendir: ({ path }, { handles, backend, home }) => {
    const target = absolute(home, path);
    const handle = handles.add(target, () => ({
      kind: 'directory',
      directory: backend.openDirectory(target),
    }));
    return { kind: 'handle', handle };
  },
  readdir: ({ handle }, { handles }) => {
    const entries = handles.directory(handle).read(NAMES_PER_REPLY);
    return entries.length === 0 ? END_OF_FILE : { kind: 'name', names: entries.map(nameEntry) };
  },
  remove: ({ path }, { backend, home }) => {
    backend.remove(absolute(home, path));
    return OK;
  },
  mkdir: ({ path, attributes }, { backend, home }) => {
    backend.makeDirectory(absolute(home, path), attributes.mode);
    return OK;
  },
  rmdir: ({ path }, { backend, home }) => {
    backend.removeDirectory(absolute(home, path));
    return OK;
  },
  realpath: ({ path }, { backend, home }) => {
    // The empty path stands for the start directory, as with OpenSSH.
    return nameAnswer(backend.realpath(absolute(home, path.length === 0 ? Buffer.from('.') : path)));
  },
  stat: ({ path }, { backend, home }) => ({
    kind: 'attrs',
    attributes: backend.stat(absolute(home, path)),
  }),
  rename: ({ oldPath, newPath }, { backend, home }) => {
    backend.rename(absolute(home, oldPath), absolute(home, newPath));
    return OK;
  },
  readlink: ({ path }, { backend, home }) => nameAnswer(backend.readlink(absolute(home, path))),
  symlink: ({ targetPath, linkPath }, { backend, home }) => {
    backend.symlink(targetPath, absolute(home, linkPath));
    return OK;
  },
  extended: ({ name, data }, state) => answerExtension(name, Buffer.from(data), state),
};

/** Failures of the backend become STATUS answers; a `ProtocolError` passes and ends the session. */
export function createResponder(state: SessionState): Responder {
  return (request) => {
    try {
      const handler = handlers[request.kind] as (request: Request, state: SessionState) => ServerAnswer;
      const answer: ServerAnswer | Promise<ServerAnswer> = handler(request, state);
      return answer instanceof Promise ? answer.catch(toAnswer) : answer;
    } catch (error) {
      return toAnswer(error);
    }
  };
}

function toAnswer(error: unknown): ServerAnswer {
  if (error instanceof ProtocolError) throw error;
  return failureAnswer(error);
}
