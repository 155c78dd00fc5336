/** Removing a directory with everything below it. */
import type { Buffer } from 'node:buffer';
import { lstatWithType } from '../session/quirks/file-type.js';
import { explain } from '../session/quirks/likely-cause.js';
import type { OperationOptions, SftpClient } from '../session/sftp-client.js';
import { failure } from '../session/status-error.js';
import { baseName, quote, withoutTrailingSlashes } from '../shared/remote-path.js';
import { TaskGroup } from '../transfer/engine/task-group.js';
import { Window } from '../transfer/engine/window.js';
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
  const directories: { readonly entry: Buffer; readonly depth: number }[] = [];
  await inParallel(options.signal, async (add, signal) => {
    for await (const { pathBytes, attributes, depth } of walkTree(client, path, path, { signal })) {
      const entry = pathBytes as Buffer;
      if (attributes.isDirectory()) directories.push({ entry, depth });
      else await add(() => removal('remove', entry, signal));
    }
  });
  const deepest = directories.reduce((most, { depth }) => Math.max(most, depth), 0);
  for (let level = deepest; level > 0; level -= 1) {
    await inParallel(options.signal, async (add, signal) => {
      for (const { entry, depth } of directories) {
        if (depth === level) await add(() => removal('rmdir', entry, signal));
      }
    });
  }
  await removal('rmdir', path, options.signal);
}

/** Waits with the next task while too many are under way; the first failure ends all. */
async function inParallel(
  outside: AbortSignal | undefined,
  produce: (add: (task: () => Promise<void>) => Promise<void>, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const tasks = new TaskGroup(outside);
  const slots = new Window({ max: MAX_REMOVALS });
  const add = async (task: () => Promise<void>) => {
    await slots.acquire(1, tasks.signal);
    tasks.add(task().finally(() => slots.release(1)));
  };
  tasks.add(produce(add, tasks.signal));
  await tasks.settle();
}
