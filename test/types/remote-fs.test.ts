/** The types of a view, checked by the compiler: it fits where packages take an `fs`. */
import type nodeFs from 'node:fs';
import { test } from 'node:test';
import type fastGlob from 'fast-glob';
import type { GlobOptions } from 'glob';
import type { CallbackFsClient, PromiseFsClient } from 'isomorphic-git';
import type { GlobOptions as TinyGlobOptions } from 'tinyglobby';
import type { RemoteFs, RemoteFsPromises, remoteFs } from '../../src/fs/index.js';
import type { Connection } from '../../src/index.js';

type NodeFs = typeof nodeFs;
type Waiting = Extract<keyof NodeFs, `${string}Sync`> | 'watch' | 'watchFile';

function holds<_ extends true>(): void {}

test('a view is what node:fs is, without what waits and watches', () => {
  holds<RemoteFs extends Omit<NodeFs, Waiting | 'promises'> ? true : false>();
  holds<RemoteFsPromises extends Omit<NodeFs['promises'], 'watch'> ? true : false>();
  holds<RemoteFs['statSync'] extends (...args: never[]) => never ? true : false>();
  holds<RemoteFs['failure'] extends Error | undefined ? true : false>();
});

test('a view fits where packages take an fs', () => {
  holds<RemoteFs extends PromiseFsClient ? true : false>();
  holds<RemoteFs extends CallbackFsClient ? true : false>();
  holds<RemoteFs extends NonNullable<GlobOptions['fs']> ? true : false>();
  holds<RemoteFs extends NonNullable<fastGlob.Options['fs']> ? true : false>();
  holds<RemoteFs extends NonNullable<TinyGlobOptions['fs']> ? true : false>();
  // What tar-fs calls; its types do not name its option.
  type TarFs =
    | 'lstat'
    | 'stat'
    | 'readdir'
    | 'readlink'
    | 'symlink'
    | 'link'
    | 'unlink'
    | 'mkdir'
    | 'utimes'
    | 'chmod';
  holds<
    RemoteFs extends Pick<NodeFs, TarFs | 'chown' | 'createReadStream' | 'createWriteStream'> ? true : false
  >();
});

test('wrong options of a view do not compile', () => {
  // Never called: only compiled.
  const wrong = (view: typeof remoteFs, sftp: Connection) => {
    // @ts-expect-error an option that does not exist
    view(sftp, { rootDirectory: '/' });
    // @ts-expect-error a number of milliseconds
    view(sftp, { attributeCacheMs: '50' });
    // @ts-expect-error without a connection
    view({ root: '/' });
  };
  void wrong;
});
