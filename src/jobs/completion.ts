/** What becomes of the source once the target has the file. */
import { Buffer } from 'node:buffer';
import { encodePath, namesOf, type RemotePath, relativePathOf } from '../shared/remote-path.js';
import { type Cancellable, type Place, unlessCode } from '../transfer/file-system.js';
import { isSame, lookAt, stateOf } from './state.js';
import { pathBytesOf, type Step } from './step.js';

/** `move`: a directory of the source's side; what lies on the server may count from the login directory. */
export type Completion = 'none' | 'delete' | { readonly move: RemotePath };

/** How much of the id is appended to a name that is taken. */
const MARK_LENGTH = 12;

/** @param root the directory that the step's path is below */
export async function completeSource(
  root: Place,
  step: Step,
  complete: Exclude<Completion, 'none'>,
  options: Cancellable,
): Promise<void> {
  const { fileSystem } = root;
  const source = fileSystem.join(root.path, pathBytesOf(step));
  if (complete === 'delete') {
    await unlessCode(fileSystem.removeFile(source, options), 'ENOENT');
    return;
  }
  const [usual, other] = movedPaths(root, step, complete.move);
  await makeParents(root, complete.move, step, options);
  const isTaken = (await lookAt({ fileSystem, path: usual }, options)) !== undefined;
  // Somebody else may have moved it meanwhile.
  await unlessCode(fileSystem.rename(source, isTaken ? other : usual, options), 'ENOENT');
}

/** Whether a source that is gone is where an earlier attempt would have moved it, or was to be deleted. */
export async function isCompleted(
  root: Place,
  step: Step,
  complete: Exclude<Completion, 'none'>,
  options: Cancellable,
): Promise<boolean> {
  if (complete === 'delete') return true;
  for (const path of movedPaths(root, step, complete.move)) {
    const there = await lookAt({ ...root, path }, options);
    if (there !== undefined && isSame(stateOf(there), step)) return true;
  }
  return false;
}

function movedPaths({ fileSystem }: Place, step: Step, move: RemotePath): readonly [Buffer, Buffer] {
  const usual = fileSystem.join(encodePath(move, 'move'), pathBytesOf(step));
  return [usual, Buffer.concat([usual, Buffer.from(`.${step.id.slice(0, MARK_LENGTH)}`)])];
}

async function makeParents(
  { fileSystem }: Place,
  move: RemotePath,
  step: Step,
  options: Cancellable,
): Promise<void> {
  const root = encodePath(move, 'move');
  const names = namesOf(pathBytesOf(step)).slice(0, -1);
  for (let count = 0; count <= names.length; count += 1) {
    const below = relativePathOf(names.slice(0, count));
    await fileSystem.ensureDirectory(count === 0 ? root : fileSystem.join(root, below), options);
  }
}
