/** Opening a file by its path. */
import type { Buffer } from 'node:buffer';
import { openFile } from '../../connection/files/file-opening.js';
import { parseOpenMode } from '../../connection/files/open-mode.js';
import { lstatWithType } from '../../session/quirks/file-type.js';
import type { ExplainedOperation } from '../../session/quirks/likely-cause.js';
import type { RemoteHandle } from '../../session/sftp-client.js';
import { failure } from '../../session/status-error.js';
import { hasCode } from '../../transfer/file-system.js';
import type { AttributeValues } from '../../wire/attributes.js';
import type { GivenPath } from '../base/arguments.js';
import type { View } from '../base/view.js';
import { type OpenFlags, sftpFlags } from './flags.js';
import { OpenedFile } from './opened-file.js';

/** What a system gives a new file, less its umask. */
export const DEFAULT_MODE = 0o666;

/** Errors are as the server says; the caller tells them. */
export async function openOnServer(
  view: View,
  given: GivenPath,
  flags: OpenFlags,
  mode: number,
): Promise<OpenedFile> {
  const follows = !flags.isExclusive && !flags.refusesLinks;
  const path = await view.resolve(given, { follows });
  if (flags.refusesLinks || flags.wantsDirectory) await checkType(view, path, flags);
  const attributes = mode === DEFAULT_MODE ? {} : { mode };
  // Where the path may lead elsewhere by now, nothing is emptied before that is known.
  const emptiesLater = view.isConfined && flags.empties && flags.writes && !flags.isExclusive;
  const asked = emptiesLater ? { ...flags, empties: false } : flags;
  const handle = await requestHandle(view, path, asked, attributes);
  const file = new OpenedFile({ view, path, key: view.keyOf(given), flags, handle });
  try {
    await view.confirm(given, path, { follows, mustExist: true });
    if (emptiesLater) await file.set({ size: 0 });
  } catch (error) {
    await file.close().catch(() => {});
    throw error;
  }
  return file;
}

async function requestHandle(
  view: View,
  path: Buffer,
  flags: OpenFlags,
  attributes: AttributeValues,
): Promise<RemoteHandle | undefined> {
  const { client } = view;
  const opening = needsCare(view, flags)
    ? openFile(client, path, parseOpenMode(modeOf(flags)), { attributes }).then(({ handle }) => handle)
    : client.open(path, sftpFlags(flags), { attributes });
  try {
    return await view.explained(opening, operationOf(flags), path);
  } catch (error) {
    // A system opens a directory for reading, and programs do that to have it written to the disk.
    const isLooking = !flags.writes && !flags.creates;
    if (isLooking && hasCode(error, 'EISDIR')) return undefined;
    throw error;
  }
}

/** OpenSSH's server does what the flags say; others do not empty a file, or ignore where it is to be written. */
function needsCare({ client }: View, { appends, creates, empties, isExclusive, writes }: OpenFlags): boolean {
  return !client.worksInOrder && writes && creates && !isExclusive && (appends || empties);
}

function modeOf({ appends, reads }: OpenFlags): string {
  return `${appends ? 'a' : 'w'}${reads ? '+' : ''}`;
}

function operationOf({ isExclusive, creates, writes }: OpenFlags): ExplainedOperation {
  if (isExclusive) return 'openNew';
  if (creates) return 'create';
  return writes ? 'open' : 'stat';
}

async function checkType(view: View, path: Buffer, flags: OpenFlags): Promise<void> {
  const { type } = await view.explained(lstatWithType(view.client, path), 'stat', path);
  if (flags.refusesLinks && type === 'symlink') throw failure('ELOOP', 'open', path, 'it is a symbolic link');
  if (flags.wantsDirectory && type !== 'directory' && type !== 'symlink') {
    throw failure('ENOTDIR', 'open', path, 'it is not a directory');
  }
}
