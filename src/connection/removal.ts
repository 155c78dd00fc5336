/** Removing a directory with everything below it. */
import type { Buffer } from 'node:buffer';
import { lstatWithType } from '../session/quirks/file-type.js';
import { explain } from '../session/quirks/likely-cause.js';
import type { OperationOptions, SftpClient } from '../session/sftp-client.js';
import { failure } from '../session/status-error.js';
import { forEachLimited } from '../shared/promises.js';
import { baseName, quote, withoutTrailingSlashes } from '../shared/remote-path.js';
import { walkTree } from './search/walk.js';

/** Requests on the way at once. */
const MAX_REMOVALS = 64;

/**
 * Files go while the walk is still on; directories follow, the deepest first. Links are removed, never entered.
 */
export async function removeTree(
  client: SftpClient,
  given: Buffer,
  options: OperationOptions,
): Promise<void> {
  // With a slash behind it, a link would stand for the directory to which it leads.
  const path = withoutTrailingSlashes(given);
  if (['/', '.', '..'].includes(baseName(path).toString('latin1'))) {
    throw new RangeError(`rmtree ${quote(path)}: name the directory to remove, not '/', '.' or '..'`);
  }
  const looking = lstatWithType(client, path, options);
  const attributes = await explain(looking, 'stat', { client, path, options });
  if (!attributes.isDirectory() && attributes.type !== 'unknown') {
    throw failure('ENOTDIR', 'rmtree', path, `it is a ${attributes.type}; use remove`);
  }
  const removal = (how: 'remove' | 'rmdir', entry: Buffer, signal: AbortSignal | undefined) =>
    explain(client[how](entry, { signal }), how, { client, path: entry, options: { signal } });
  const directories: Buffer[][] = [];
  await forEachLimited(
    (signal) => walkTree(client, path, path, { signal }),
    MAX_REMOVALS,
    async ({ pathBytes, attributes, depth }, signal) => {
      const entry = pathBytes as Buffer;
      if (!attributes.isDirectory()) return removal('remove', entry, signal);
      const level = directories[depth] ?? [];
      directories[depth] = level;
      level.push(entry);
    },
    options,
  );
  for (const level of directories.reverse()) {
    const remove = (entry: Buffer, signal: AbortSignal) => removal('rmdir', entry, signal);
    await forEachLimited(level ?? [], MAX_REMOVALS, remove, options);
  }
  await removal('rmdir', path, options.signal);
}
