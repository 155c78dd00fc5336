/** How things on the local disk are opened, and what is said of those that are not as they should be. */
import type { Buffer } from 'node:buffer';
import * as fs from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { FileType } from '../../wire/attributes.js';
import { hasCode } from '../file-system.js';
import { checkLinks } from './foreign-links.js';

/** How often and how long to wait for a descriptor where the process has as many open as it may. */
const OPEN_ATTEMPTS = 200;
const OPEN_PAUSE_MS = 10;

const openOnce = promisify(fs.open);
/** Waits for a descriptor where the process has none left. */
export const open = (file: Buffer, flags: number, mode?: number) =>
  patiently(() => openOnce(file, flags, mode));

/** Through no link where `refuseLink`, else through none that somebody else may have laid. */
export async function openUnlinked(
  file: Buffer,
  flags: number,
  {
    refuseLink = false,
    purpose,
    mode,
  }: { readonly refuseLink?: boolean; readonly purpose: 'read' | 'write'; readonly mode?: number },
): Promise<number> {
  const { O_NOFOLLOW } = fs.constants;
  // Where the system has no such flag, a look before must do.
  if (refuseLink && O_NOFOLLOW === undefined && (await isLink(file))) throw linkInTheWay('ELOOP', file);
  try {
    return await open(file, flags | (O_NOFOLLOW ?? 0), mode);
  } catch (error) {
    if (!hasCode(error, 'ELOOP')) throw error;
    if (refuseLink) throw linkInTheWay('ELOOP', file);
    checkLinks(file.toString(), { purpose });
    return open(file, flags, mode);
  }
}

/** Tries again where the process has as many files open as it may: those of other copies are closed soon. */
export async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  for (let count = 1; ; count += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (count === OPEN_ATTEMPTS || !hasCode(error, 'EMFILE', 'ENFILE')) throw error;
      await setTimeout(OPEN_PAUSE_MS);
    }
  }
}

async function isLink(file: Buffer): Promise<boolean> {
  const stats = await fs.promises.lstat(file).catch(() => undefined);
  return stats?.isSymbolicLink() ?? false;
}

export function linkInTheWay(code: 'ELOOP' | 'ENOTDIR', path: Buffer): NodeJS.ErrnoException {
  const what = code === 'ELOOP' ? 'file' : 'directory';
  return localError(code, `a symlink is in the way of the ${what}`, { syscall: 'open', path });
}

export function typeOf(
  stats: Pick<
    fs.Stats,
    | 'isFile'
    | 'isDirectory'
    | 'isSymbolicLink'
    | 'isFIFO'
    | 'isSocket'
    | 'isBlockDevice'
    | 'isCharacterDevice'
  >,
): FileType {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isFIFO()) return 'fifo';
  if (stats.isSocket()) return 'socket';
  if (stats.isBlockDevice()) return 'block-device';
  return stats.isCharacterDevice() ? 'character-device' : 'unknown';
}

/** As Node words its own errors. */
export function localError(
  code: string,
  what: string,
  { syscall, path }: { readonly syscall: string; readonly path: Buffer },
): NodeJS.ErrnoException {
  const text = path.toString();
  return Object.assign(new Error(`${code}: ${what}, ${syscall} '${text}'`), { code, syscall, path: text });
}
