/**
 * Where a path really leads, found out name by name: each link is read and followed here, so that nothing depends on how
 * the server resolves paths. All names are asked for at once; what has no link costs one round trip.
 */

import { SftpStatusError } from '../../errors.js';
import { lstatWithType } from '../../session/quirks/file-type.js';
import type { OperationOptions, SftpClient } from '../../session/sftp-client.js';
import { absolutePathOf, namesOf, type PathKey } from '../../shared/remote-path.js';
import type { FileAttributes } from '../../wire/attributes.js';

/** As many as Linux follows. */
const MAX_LINKS = 40;

/** What is wrong with a path, as a system call would say it. */
export class PathFault extends Error {
  readonly code: 'ENOENT' | 'ENOTDIR' | 'ELOOP' | 'EACCES';

  constructor(code: PathFault['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export interface WalkRules extends OperationOptions {
  /** The names from `/` down, without links, that nothing may lead out of. */
  readonly root: readonly PathKey[];
  /** Whether a link at the end of the path is followed. */
  readonly follows: boolean;
  /** Whether the last name has to exist. */
  readonly mustExist: boolean;
}

/** One name that is still to be looked at; those of a link may lead out of the root and back. */
interface Step {
  readonly name: PathKey;
  readonly isOfLink: boolean;
}

/**
 * The path without links, as names from `/` down.
 *
 * @param names the names to look up, from the root down; `..` at the root stays there
 * @throws PathFault there is nothing, links lead in a circle, or out of the root
 */
export async function walkPath(
  client: SftpClient,
  names: readonly PathKey[],
  rules: WalkRules,
): Promise<PathKey[]> {
  const { root, follows, mustExist, ...options } = rules;
  const at = [...root];
  let steps: Step[] = names.map((name) => ({ name, isOfLink: false }));
  for (let links = 0; ; ) {
    steps = climb(at, steps, root);
    if (steps.length === 0) return at;
    const run = steps.slice(0, runLength(steps));
    const found = await lookAt(client, at, run, options);
    const linkIndex = found.findIndex((one, index) => {
      const isLast = index === steps.length - 1;
      return !(one instanceof SftpStatusError) && one.type === 'symlink' && (follows || !isLast);
    });
    const passed = linkIndex < 0 ? run.length : linkIndex;
    checkFound(found.slice(0, passed), { goesOn: steps.length > passed, mustExist });
    for (const { name } of run.slice(0, passed)) at.push(name);
    steps = steps.slice(passed);
    const link = steps[0];
    if (linkIndex < 0 || link === undefined) continue;
    links += 1;
    if (links > MAX_LINKS) throw new PathFault('ELOOP', 'too many symbolic links');
    const text = await client.readlink(absolutePathOf([...at, link.name]), options);
    const target = namesOf(text).map((name) => ({ name, isOfLink: true }));
    if (text[0] === 0x2f) at.length = 0;
    steps = [...target, ...steps.slice(1)];
  }
}

/** Carries out `..`, and the names between `/` and the root, which only a link may have. */
function climb(at: PathKey[], steps: readonly Step[], root: readonly string[]): Step[] {
  let next = 0;
  for (let step = steps[next]; step !== undefined; step = steps[next]) {
    const isOutside = at.length < root.length;
    if (step.name === '..') {
      if (at.length > root.length || (step.isOfLink && at.length > 0)) at.pop();
    } else if (!isOutside) break;
    else if (step.name === root[at.length]) at.push(step.name);
    else throw leadsOut();
    next += 1;
  }
  if (at.length < root.length) throw leadsOut();
  return steps.slice(next);
}

function leadsOut(): PathFault {
  return new PathFault('EACCES', 'a symbolic link leads out of the root of this view');
}

/** How many names come before the next `..`, which may have to climb out of a link. */
function runLength(steps: readonly Step[]): number {
  const climbs = steps.findIndex(({ name }) => name === '..');
  return climbs < 0 ? steps.length : climbs;
}

type Found = FileAttributes | SftpStatusError;

function lookAt(
  client: SftpClient,
  at: readonly PathKey[],
  run: readonly Step[],
  options: OperationOptions,
): Promise<Found[]> {
  const names = run.map(({ name }) => name);
  const prefixes = names.map((_, index) => absolutePathOf([...at, ...names.slice(0, index + 1)]));
  return Promise.all(
    prefixes.map((path) =>
      lstatWithType(client, path, options).catch((error: unknown) => {
        if (error instanceof SftpStatusError) return error;
        throw error;
      }),
    ),
  );
}

/** @throws what is wrong with the first of them that is not as it must be */
function checkFound(
  found: readonly Found[],
  { goesOn, mustExist }: { readonly goesOn: boolean; readonly mustExist: boolean },
): void {
  for (const [index, one] of found.entries()) {
    const isLast = index === found.length - 1 && !goesOn;
    if (one instanceof SftpStatusError) {
      if (one.code !== 'ENOENT') throw one;
      if (isLast && !mustExist) return;
      throw new PathFault('ENOENT', 'there is no such file or directory');
    }
    if (!isLast && one.type !== 'directory' && one.type !== 'unknown') {
      throw new PathFault('ENOTDIR', 'there is something else in the place of a directory');
    }
  }
}
