/** Directories with everything below them, up and down. */
import { join } from 'node:path';
import type { Connection, TreeEntry, TreeReport } from '../index.js';
import { asClientError, clientError, isMissing } from './client-error.js';
import { obstacleOf } from './directories.js';
import { badPath, checkLocalDirectory, localKind } from './local-checks.js';
import type { DirFilterFunction, TransferEvent } from './types.js';

export interface TreeCopyOptions {
  readonly filter: DirFilterFunction | undefined;
  /** How many files are under way at once. */
  readonly concurrency: number | undefined;
  /** Hears of each file that has arrived. */
  readonly onFile: (file: TransferEvent) => void;
}

/** @param target the directory on the server, as an absolute path or one that counts from the login directory */
export async function uploadTree(
  sftp: Connection,
  source: string,
  target: string,
  { filter, concurrency, onFile }: TreeCopyOptions,
): Promise<void> {
  const kind = await localKind(source);
  if (kind === undefined) throw badPath(`getLocalStatus: Bad path: ${source} not exist`);
  if (kind !== 'directory') throw badPath(`getLocalStatus: Bad path: ${source}: not a directory`);
  const form = { before: 'uploadFiles', after: `${source} to ${target}` };
  try {
    const report = await sftp.putR(source, target, {
      symlinks: 'follow',
      // A drop box may take files away while others are still on their way.
      confirm: false,
      concurrency,
      filter: filter && wholePaths(filter, (path) => join(source, path)),
      onFile: (file) => onFile({ source: file.path, destination: file.target }),
    });
    const dangling = danglingOf(report);
    if (dangling !== undefined) {
      const text = `ENOENT: no such file or directory, open '${dangling}'`;
      throw clientError(`uploadFiles: _put: Read stream error: ${text} ${form.after}`, 'ENOENT');
    }
  } catch (error) {
    const obstacle = await obstacleOf(sftp, target);
    if (obstacle === target) throw badPath(`getRemoteStatus: Bad path ${target} Not a directory`);
    if (obstacle !== undefined) throw badPath(`_mkdir: Bad path: ${obstacle} not a directory`);
    throw asClientError(error, form);
  }
}

export async function downloadTree(
  sftp: Connection,
  source: string,
  target: string,
  { filter, concurrency, onFile }: TreeCopyOptions,
): Promise<void> {
  await checkLocalDirectory(target);
  const after = `${source} to ${target}`;
  try {
    const report = await sftp.getR(source, target, {
      into: true,
      concurrency,
      filter: filter && wholePaths(filter, (path) => `${source.replace(/\/+$/, '')}/${path}`),
      onFile: (file) => onFile({ source: file.path, destination: file.target }),
    });
    const dangling = danglingOf(report);
    if (dangling !== undefined) {
      throw clientError(`downloadFiles: get: No such file ${dangling} ${after}`, 2);
    }
  } catch (error) {
    if (isMissing(error) && !(await sftp.isdir(source).catch(() => true))) {
      throw clientError(`list: No such file ${source}`, 2, error);
    }
    throw asClientError(error, { before: 'downloadFiles', after });
  }
}

/** The filter of ssh2-sftp-client sees whole paths, and anything that is true keeps an entry. */
function wholePaths(
  filter: DirFilterFunction,
  pathOf: (path: string) => string,
): (entry: TreeEntry) => boolean {
  return ({ path, type }) => Boolean(filter(pathOf(path), type === 'directory'));
}

/** A dangling symlink is left out by tsftp, and reported; here it is a failure, as it always was. */
function danglingOf({ skipped }: TreeReport): string | undefined {
  return skipped.find(({ code }) => code === 'DANGLING')?.path;
}
