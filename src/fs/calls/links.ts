/** Names and links: what moves, removes or leads to something. */
import type { Buffer } from 'node:buffer';
import { failure } from '../../session/status-error.js';
import { absolutePathOf, namesOf } from '../../shared/remote-path.js';
import { hasCode } from '../../transfer/file-system.js';
import { encoded, type GivenPath, givenEncoding, givenOptions, givenPath } from '../base/arguments.js';
import { PathFault, walkPath } from '../base/path-walk.js';
import { REPEATABLE, type View } from '../base/view.js';

const CHANGE = { changes: true } as const;
const ITSELF = { follows: false } as const;

/** Removes a file, or a link itself. */
export function unlink(view: View, given: GivenPath): Promise<void> {
  return view.changeName('unlink', given, 'remove', (path) => view.client.remove(path));
}

export function linkCalls(view: View) {
  const { client } = view;
  const realpath = (path: unknown, options?: unknown): Promise<string | Buffer> => {
    const given = givenPath(path);
    const encoding = givenEncoding(givenOptions(options).encoding, 'utf8');
    const finding = view.call(
      { syscall: 'realpath', path: given.text },
      () => (view.isConfined ? realPathInRoot(view, given.bytes) : realPath(view, given.bytes)),
      REPEATABLE,
    );
    return finding.then((found) => encoded(found, encoding));
  };
  return {
    realpath,
    readlink: (path: unknown, options?: unknown): Promise<string | Buffer> => {
      const given = givenPath(path);
      const encoding = givenEncoding(givenOptions(options).encoding, 'utf8');
      const reading = view.call(
        { syscall: 'readlink', path: given.text },
        async () => {
          const resolved = await view.resolve(given, ITSELF);
          return readLink(view, resolved);
        },
        REPEATABLE,
      );
      return reading.then((text) => encoded(text, encoding));
    },
    symlink: (target: unknown, path: unknown, _type?: unknown): Promise<void> => {
      const text = givenPath(target, 'target');
      const given = givenPath(path);
      const linking = async () => {
        if (text.bytes.length === 0) throw new PathFault('ENOENT', 'the target is empty');
        const resolved = await view.resolve(given, ITSELF);
        await view.explained(client.symlink(text.bytes, resolved), 'symlink', text.bytes, resolved);
      };
      return view.call({ syscall: 'symlink', path: text.text, dest: given.text }, linking, CHANGE);
    },
    link: (existing: unknown, path: unknown): Promise<void> => {
      const from = givenPath(existing, 'existingPath');
      const to = givenPath(path, 'newPath');
      const linking = async () => {
        const source = await view.resolve(from, ITSELF);
        const target = await view.resolve(to, ITSELF);
        await view.explained(client.hardlink(source, target), 'hardlink', source, target);
      };
      return view.call({ syscall: 'link', path: from.text, dest: to.text }, linking, CHANGE);
    },
    unlink: (path: unknown): Promise<void> => unlink(view, givenPath(path)),
    rename: (oldPath: unknown, newPath: unknown): Promise<void> => {
      const from = givenPath(oldPath, 'oldPath');
      const to = givenPath(newPath, 'newPath');
      const renaming = async () => {
        const source = await view.resolve(from, ITSELF);
        const target = await view.resolve(to, ITSELF);
        await replace(view, source, target);
      };
      return view.call({ syscall: 'rename', path: from.text, dest: to.text }, renaming, CHANGE);
    },
  };
}

/** rename(2) replaces what is there. Where the server cannot, a file in the way is removed first. */
async function replace(view: View, from: Buffer, to: Buffer): Promise<void> {
  const { client } = view;
  if (client.supports('posixRename')) {
    return view.explained(client.posixRename(from, to), 'posixRename', from, to);
  }
  try {
    await view.explained(client.rename(from, to), 'rename', from, to);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    const [source, target] = await Promise.all([view.ask(from, 'lstat'), view.ask(to, 'lstat')]);
    if (source.isDirectory() && !target.isDirectory())
      throw failure('ENOTDIR', 'rename', to, 'it is no directory');
    if (!source.isDirectory() && target.isDirectory())
      throw failure('EISDIR', 'rename', to, 'it is a directory');
    const removing = target.isDirectory() ? client.rmdir(to) : client.remove(to);
    await view.explained(removing, target.isDirectory() ? 'rmdir' : 'remove', to);
    await view.explained(client.rename(from, to), 'rename', from, to);
  }
}

async function readLink(view: View, path: Buffer): Promise<Buffer> {
  try {
    return await view.explained(view.client.readlink(path), 'stat', path);
  } catch (error) {
    if (!hasCode(error, 'FAILURE')) throw error;
    const { type } = await view.ask(path, 'lstat');
    throw type === 'symlink'
      ? error
      : failure('EINVAL', 'readlink', path, 'it is not a symbolic link', error);
  }
}

/** OpenSSH resolves every link, also where the last name is missing; others only take out dots. */
async function realPath(view: View, given: Buffer): Promise<Buffer> {
  const path = await view.resolve({ text: '', bytes: given }, { follows: true });
  if (view.client.worksInOrder) {
    const [real] = await Promise.all([
      view.explained(view.client.realpath(path), 'stat', path),
      view.ask(path, 'stat'),
    ]);
    return real;
  }
  const absolute = await view.absolute(path);
  return absolutePathOf(
    await walkPath(view.client, namesOf(absolute), { root: [], follows: true, mustExist: true }),
  );
}

/** As a path of the view, whose root is `/`. */
async function realPathInRoot(view: View, given: Buffer): Promise<Buffer> {
  const root = await view.root();
  const names = await walkPath(view.client, namesOf(given), { root, follows: true, mustExist: true });
  return absolutePathOf(names.slice(root.length));
}
