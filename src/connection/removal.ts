/** Removing a directory with everything below it. */
import type { Buffer } from 'node:buffer';
import { baseName, quote } from '../remote-path.js';
import { lstatWithType } from '../session/file-type.js';
import type { OperationOptions, SftpClient } from '../session/sftp-client.js';
import { failure } from '../session/status-error.js';
import { TaskGroup } from '../transfer/task-group.js';
import { Window } from '../transfer/window.js';
import { walkTree } from './walk.js';

/** Requests on the way at once. */
const MAX_REMOVALS = 64;

/**
 * Files go while the walk is still on; directories follow, the deepest first. Links are removed, never entered.
 */
export async function removeTree(client: SftpClient, path: Buffer, options: OperationOptions): Promise<void> {
  if (['/', '.', '..'].includes(baseName(path).toString('latin1'))) {
    throw new RangeError(`rmtree ${quote(path)}: name the directory to remove, not '/', '.' or '..'`);
  }
  const attributes = await lstatWithType(client, path, options);
  if (!attributes.isDirectory() && attributes.type !== 'unknown') {
    throw failure('ENOTDIR', 'rmtree', path, `it is a ${attributes.type}; remove takes it away`);
  }
  const directories: { readonly entry: Buffer; readonly depth: number }[] = [];
  await inParallel(options.signal, async (add, signal) => {
    for await (const { pathBytes, attributes, depth } of walkTree(client, path, path, { signal })) {
      const entry = pathBytes as Buffer;
      if (attributes.isDirectory()) directories.push({ entry, depth });
      else await add(() => client.remove(entry, { signal }));
    }
  });
  for (let level = Math.max(0, ...directories.map(({ depth }) => depth)); level > 0; level -= 1) {
    await inParallel(options.signal, async (add, signal) => {
      for (const { entry, depth } of directories) {
        if (depth === level) await add(() => client.rmdir(entry, { signal }));
      }
    });
  }
  await client.rmdir(path, options);
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
