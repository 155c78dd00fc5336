/** From arguments to paths: addresses, `~`, and patterns that are matched on the server. */
import { Buffer } from 'node:buffer';
import { LocalFileError } from '../output/exit-codes.js';
import { UsageError } from '../output/usage-error.js';
import type { Context, FoundPath, OperandPlace, RemotePlace } from './command.js';

/** A place on a server. */
export async function remotePlace({ place }: Context, text: string): Promise<RemotePlace> {
  const found = await place(text, 'remote');
  if (found.kind !== 'remote') {
    throw new UsageError(`'${text}' is not on a server: write host:path or sftp://host/path`);
  }
  return found;
}

/** A path on a server; it must be written. */
export async function remoteFile(context: Context, text: string): Promise<RemotePlace> {
  const place = await remotePlace(context, text);
  if (place.path === '.' && /:$|^[^/]*$/.test(text) && text !== '.') {
    throw new UsageError(`'${text}' names a server and no path on it: write ${text.replace(/:?$/, ':')}path`);
  }
  return place;
}

/** Is there anything in a pattern that is not the character itself? */
function hasPattern(path: string): boolean {
  return /[*?[{\\]/.test(path);
}

/**
 * What a path with patterns stands for. A name that is there as it is written needs no pattern. Where nothing fits, the
 * path is given as it is, so that the command says what is missing.
 */
export async function matchesOf(
  { connection, path, pattern }: RemotePlace,
  signal: AbortSignal,
): Promise<readonly FoundPath[]> {
  const itself = [{ path, text: path }];
  if (!hasPattern(pattern) || (await connection.lexists(path, { signal }))) return itself;
  const found = await connection.glob(pattern, { signal, encoding: 'buffer' });
  return found.length === 0 ? itself : found.map((bytes) => ({ path: bytes, text: bytes.toString('utf8') }));
}

/** A found path below a connection. */
export interface RemoteMatch extends FoundPath {
  readonly place: RemotePlace;
}

/** Every path that several arguments stand for. */
export async function allMatches(
  context: Context,
  texts: readonly string[],
): Promise<readonly RemoteMatch[]> {
  const all: RemoteMatch[] = [];
  for (const text of texts) {
    const place = await remotePlace(context, text);
    for (const found of await matchesOf(place, context.signal)) all.push({ ...found, place });
  }
  return all;
}

/** The last part of a path. */
export function lastName(path: string): string {
  const name = path.replace(/\/+$/, '');
  return name.slice(name.lastIndexOf('/') + 1);
}

/** A path in a directory of a server. */
export function joinRemote(directory: string, name: string): string {
  if (directory === '.' || directory === '') return name;
  return directory.endsWith('/') ? `${directory}${name}` : `${directory}/${name}`;
}

/** A path in a directory of a server, of names that may not be UTF-8. */
export function joinBytes(directory: string | Uint8Array, name: Uint8Array): Buffer {
  const base = Buffer.from(directory);
  if (base.equals(Buffer.from('.'))) return Buffer.from(name);
  const slash = base.at(-1) === 0x2f ? [] : [Buffer.from('/')];
  return Buffer.concat([base, ...slash, name]);
}

/** The one of two places that is on a server, and the other that is local. */
export function sidesOf(
  source: OperandPlace,
  target: OperandPlace,
): { readonly isUp: boolean; readonly local: string; readonly remote: RemotePlace } | undefined {
  if (source.kind === 'local' && target.kind === 'remote') {
    return { isUp: true, local: source.path, remote: target };
  }
  if (source.kind === 'remote' && target.kind === 'local') {
    return { isUp: false, local: target.path, remote: source };
  }
  return undefined;
}

/** Node's own errors for files that are not there have no words for people. */
export function noSuchLocal(path: string): LocalFileError {
  return new LocalFileError('ENOENT', `${path}: no such file or directory on this computer`);
}
