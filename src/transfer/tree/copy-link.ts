/** A symbolic link as a link: never one that leads out of the tree that it is copied with. */
import type { Buffer } from 'node:buffer';
import { SftpError } from '../../errors.js';
import { quote } from '../../shared/remote-path.js';
import { type Place, unlessCode } from '../file-system.js';
import { KEEP_REASONS, type Overwrite } from '../overwriting.js';
import { drop } from '../resume/partial-file.js';
import { temporaryPath } from '../resume/temporary-file.js';
import type { SkipCode } from './tree-report.js';

export interface CopyLinkOptions {
  readonly overwrite: Overwrite;
  readonly signal: AbortSignal;
  /** Nothing is in its place, as the directory is new. */
  readonly isFree: boolean;
  /** How many directories below the root of the tree it lies. */
  readonly level: number;
}

/** Why no link was made. */
export interface LinkLeft {
  readonly code: SkipCode;
  readonly reason: string;
}

/** Makes a link that says the same; readers see either what was there before, or the link. */
export async function copyLink(
  source: Place,
  target: Place,
  { overwrite, signal, isFree, level }: CopyLinkOptions,
): Promise<LinkLeft | undefined> {
  const { fileSystem, path } = target;
  const text = await source.fileSystem.readLink(source.path, { signal });
  if (leadsOutside(text, level)) {
    return { code: 'OUTSIDE', reason: 'it is a symbolic link that may lead out of the tree' };
  }
  const existing = isFree ? undefined : await unlessCode(fileSystem.lstat(path, { signal }), 'ENOENT');
  if (existing?.type === 'symlink' && text.equals(await fileSystem.readLink(path, { signal }))) {
    return { code: 'SAME', reason: 'the same link is there already' };
  }
  if (existing !== undefined && overwrite !== 'always')
    return { code: 'EXISTS', reason: KEEP_REASONS.EXISTS };
  if (existing?.type === 'directory') throw inTheWay(fileSystem.textOf(path));
  const temporary = temporaryPath(target);
  try {
    await fileSystem.makeLink(text, temporary, { signal });
    await fileSystem.replace(temporary, path, { signal });
  } catch (error) {
    await drop(target, temporary, { signal });
    throw error;
  }
  return undefined;
}

function inTheWay(path: string): SftpError {
  return new SftpError('EISDIR', `A directory is in the way of the symbolic link ${quote(path)}`);
}

/**
 * Whether a link may lead out of its tree. An absolute one does, and `..` is believed only at the beginning, where it
 * starts from the directory that the link lies in: behind a name it starts from wherever that name leads, which may be
 * another link. Links that all keep to this do not lead out of the tree together either.
 *
 * @param text what the link says
 * @param level how many directories below the root of the tree the link lies
 */
export function leadsOutside(text: Buffer, level: number): boolean {
  const path = text.toString('latin1');
  // A drive or a backslash may mean a place of its own on Windows.
  if (path === '' || /^([/\\]|[A-Za-z]:)/.test(path)) return true;
  const names = path.split(/[/\\]/).filter((name) => name !== '' && name !== '.');
  const ups = names.filter((name) => name === '..').length;
  return ups > level || names.lastIndexOf('..') >= ups;
}
