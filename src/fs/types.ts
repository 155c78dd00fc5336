/** The types of a view: those of node:fs, whichever version of its types a program has. */
import type { Dirent } from 'node:fs';

type NodeFs = typeof import('node:fs');

/** What cannot be done over a network without waiting, or not at all. */
type Refused = Extract<keyof NodeFs, `${string}Sync`> | 'watch' | 'watchFile';

/** Throws `ENOSYS` at once, with the name of what to call in its place. */
export type Refusal = (...args: unknown[]) => never;

/** Options of `glob`. */
export interface RemoteGlobOptions {
  /** The directory from which patterns count. Default: the current directory of the connection, or the root of the view. */
  readonly cwd?: string | URL | undefined;
  /** True gives `Dirent` objects in place of paths. */
  readonly withFileTypes?: boolean | undefined;
  /** What is left out, with everything below it: patterns, or a function that tells. */
  readonly exclude?: readonly string[] | ((candidate: string) => boolean) | undefined;
}

/** `glob` as Node has it from version 22 on. */
export interface RemoteGlob {
  (
    pattern: string | readonly string[],
    options: RemoteGlobOptions & { readonly withFileTypes: true },
  ): AsyncGenerator<Dirent, void, undefined>;
  (
    pattern: string | readonly string[],
    options?: RemoteGlobOptions & { readonly withFileTypes?: false | undefined },
  ): AsyncGenerator<string, void, undefined>;
}

/** `glob` with a callback. */
export interface RemoteGlobCallback {
  (pattern: string | readonly string[], callback: (error: Error | null, paths: string[]) => void): void;
  (
    pattern: string | readonly string[],
    options: RemoteGlobOptions,
    callback: (error: Error | null, paths: string[]) => void,
  ): void;
}

/** The functions of `fs.promises` on a server. */
export type RemoteFsPromises = Omit<NodeFs['promises'], 'watch' | 'glob'> & {
  readonly glob: RemoteGlob;
  readonly watch: Refusal;
};

/** What a view has beside the functions of node:fs. */
export interface RemoteFsStatus {
  /**
   * The first failure that was not an answer about a file: the connection was lost and could not be restored, a call timed
   * out, or the server failed without a reason. `undefined` as long as there was none.
   */
  readonly failure: Error | undefined;
  /**
   * Waits until every call that is under way has settled.
   *
   * @throws Error the {@link RemoteFsStatus.failure}, if there was one
   */
  check(): Promise<void>;
}

/**
 * The functions of node:fs on a server. Those that would have to wait (`statSync`, …) and `watch` are there too, as packages
 * look for them, and throw `ENOSYS`.
 */
export type RemoteFs = Omit<NodeFs, Refused | 'promises' | 'glob'> & {
  readonly [K in Exclude<Refused, 'realpathSync'>]: Refusal;
} & {
  readonly promises: RemoteFsPromises;
  readonly realpathSync: Refusal & { readonly native: Refusal };
  readonly glob: RemoteGlobCallback;
} & RemoteFsStatus;
