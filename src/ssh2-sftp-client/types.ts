/** What the methods of the drop-in take and give. */
import type { Readable } from 'node:stream';

/** A file's type: a directory, a regular file, or a symbolic link. */
export type FileInfoType = 'd' | '-' | 'l';

/** An entry of a directory, as `list` gives it. */
export interface FileInfo {
  /** `-`, `d`, `l`; as `ls -l` writes it for anything else. */
  type: FileInfoType;
  name: string;
  /** In bytes. */
  size: number;
  /** Milliseconds since 1970. */
  modifyTime: number;
  /** Milliseconds since 1970. */
  accessTime: number;
  /** Letters as `ls -l` writes them, without the dashes: `rw`, `rx` … */
  rights: { user: string; group: string; other: string };
  /** The number of the user. */
  owner: number;
  /** The number of the group. */
  group: number;
  /** The server's own line, as `ls -l` prints it. */
  longname: string;
}

/** What `stat` and `lstat` give. */
export interface FileStats {
  /** Type and permissions. */
  mode: number;
  uid: number;
  gid: number;
  /** In bytes. */
  size: number;
  /** Milliseconds since 1970. */
  accessTime: number;
  /** Milliseconds since 1970. */
  modifyTime: number;
  isDirectory: boolean;
  isFile: boolean;
  isBlockDevice: boolean;
  isCharacterDevice: boolean;
  isSymbolicLink: boolean;
  isFIFO: boolean;
  isSocket: boolean;
}

/** Keeps an entry of `list`. */
export type ListFilterFunction = (fileInfo: FileInfo) => boolean;

/** Keeps an entry of a tree; it gets the whole path. It is not asynchronous: a promise counts as true. */
export type DirFilterFunction = (filePath: string, isDirectory: boolean) => boolean;

/** Functions for the end of a connection that the program has not asked for; without any, lines go to the console. */
export interface Callbacks {
  error?: ((error: unknown) => void) | undefined;
  end?: (() => void) | undefined;
  close?: (() => void) | undefined;
}

export interface ModeOption {
  /** Permissions by their value (`0o644`), or as octal digits in a string. */
  mode?: number | string | undefined;
}

/** Ignored: the target of a `get` is always ended. */
export interface PipeOptions {
  end?: boolean | undefined;
}

export interface ReadStreamOptions extends ModeOption {
  flags?: string | undefined;
  /** Gives text in place of bytes. */
  encoding?: BufferEncoding | null | undefined;
  /** Ignored. */
  handle?: unknown;
  /** Ignored: files are always closed. */
  autoClose?: boolean | undefined;
  /** The first byte. */
  start?: number | undefined;
  /** The last byte, itself included. */
  end?: number | undefined;
  highWaterMark?: number | undefined;
}

export interface WriteStreamOptions extends ModeOption {
  /** `w`, `a`, `r+`, `wx` … */
  flags?: string | undefined;
  encoding?: BufferEncoding | null | undefined;
  /** Ignored. */
  handle?: unknown;
  /** Ignored: files are always closed. */
  autoClose?: boolean | undefined;
  /** Where the first byte goes. */
  start?: number | undefined;
  highWaterMark?: number | undefined;
}

/** Options of `get` and `put`. */
export interface TransferOptions {
  pipeOptions?: PipeOptions | undefined;
  writeStreamOptions?: WriteStreamOptions | undefined;
  readStreamOptions?: ReadStreamOptions | undefined;
}

/** Options of `fastGet`. How much is asked for at once is found out: the figures are accepted and not needed. */
export interface FastGetTransferOptions {
  concurrency?: number | undefined;
  chunkSize?: number | undefined;
  step?: ((totalTransferred: number, chunk: number, total: number) => void) | undefined;
}

/** Options of `fastPut`. */
export interface FastPutTransferOptions extends FastGetTransferOptions, ModeOption {}

export interface DirOptions {
  filter?: DirFilterFunction | undefined;
}

export interface UploadDirOptions extends DirOptions {
  /** Accepted and not needed: files are always sent the fast way. */
  useFastput?: boolean | undefined;
}

export interface DownloadDirOptions extends DirOptions {
  /** Accepted and not needed: files are always fetched the fast way. */
  useFastget?: boolean | undefined;
}

/** What the events `upload` and `download` tell of a file. */
export interface TransferEvent {
  source: string;
  destination: string;
}

/** A question of the server's, as the event `keyboard-interactive` has it. */
export interface KeyboardPrompt {
  prompt: string;
  echo: boolean;
}

/** A list in place of the default one, or changes to that. */
export type AlgorithmList =
  | readonly string[]
  | {
      append?: AlgorithmNames | undefined;
      prepend?: AlgorithmNames | undefined;
      remove?: AlgorithmNames | undefined;
    };

export type AlgorithmNames = string | RegExp | readonly (string | RegExp)[];

export interface Algorithms {
  kex?: AlgorithmList | undefined;
  cipher?: AlgorithmList | undefined;
  serverHostKey?: AlgorithmList | undefined;
  hmac?: AlgorithmList | undefined;
  compress?: AlgorithmList | undefined;
}

/**
 * Decides on the server's key: its bytes, or, with `hostHash`, its hash in hexadecimal digits. It returns whether the key
 * is the right one (a promise of that, too), or returns nothing and calls `verify` with it.
 */
export type HostVerifier =
  | ((key: Buffer, verify: (isValid: boolean) => void) => unknown)
  | ((fingerprint: string, verify: (isValid: boolean) => void) => unknown);

/** A way of logging in, and what it needs. */
export interface AuthMethod {
  type: string;
  username?: string | undefined;
  password?: string | undefined;
  key?: string | Uint8Array | undefined;
  passphrase?: string | Uint8Array | undefined;
  agent?: string | undefined;
  prompt?: unknown;
}

/** Options of `connect`. A name that is not here is ignored. */
export interface ConnectOptions {
  /** Default: `localhost`. */
  host?: string | undefined;
  /** The same as `host`. */
  hostname?: string | undefined;
  /** Default: 22. */
  port?: number | string | undefined;
  forceIPv4?: boolean | undefined;
  forceIPv6?: boolean | undefined;
  localAddress?: string | undefined;
  localPort?: number | undefined;
  /** A stream to the server in place of a TCP connection. */
  sock?: Readable | undefined;
  username?: string | undefined;
  /** The same as `username`. */
  user?: string | undefined;
  password?: string | undefined;
  /** The text or the bytes of a private key, never a path. */
  privateKey?: string | Uint8Array | undefined;
  /** Of an encrypted private key. */
  passphrase?: string | Uint8Array | undefined;
  /** The socket of an SSH agent; without it no agent is asked. */
  agent?: string | undefined;
  /** Has the server's questions asked by the event `keyboard-interactive`; the password answers one by itself. */
  tryKeyboard?: boolean | undefined;
  /** The ways of logging in that may be used. A function is not supported. */
  authHandler?: readonly (string | AuthMethod)[] | ((...parameters: never[]) => unknown) | undefined;
  /** A hash of Node's (`sha256`, `md5` …), of which `hostVerifier` gets the digits. */
  hostHash?: string | undefined;
  /** Decides on the server's key by itself. Without it the key must be known or pinned. */
  hostVerifier?: HostVerifier | undefined;
  /** Pins the server's key: `SHA256:…`, as `ssh-keygen -l` prints it. */
  fingerprint?: string | readonly string[] | undefined;
  /** Files of known hosts in place of the user's and the system's. */
  knownhosts?: string | readonly string[] | undefined;
  /** `'accept-new'` adds a server that is met for the first time to the known hosts. */
  hostKeyPolicy?: 'strict' | 'accept-new' | undefined;
  algorithms?: Algorithms | undefined;
  /** Compress what travels. */
  compress?: boolean | 'force' | undefined;
  /** Milliseconds for connecting; 0: no limit. Default: 20,000. */
  readyTimeout?: number | undefined;
  /** Milliseconds between keepalive messages; 0: none. Default: 15,000. */
  keepaliveInterval?: number | undefined;
  keepaliveCountMax?: number | undefined;
  /** Gets lines that tell what happens; no secret is in them. */
  debug?: ((line: string) => void) | undefined;
  /** How many files of `uploadDir` and `downloadDir` are under way at once. Default: what server and disk allow. */
  promiseLimit?: number | undefined;
  /** How often connecting is tried if the server cannot be reached. Default: once. */
  retries?: number | undefined;
  /** What the pause is multiplied by after each attempt. Default: 2. */
  retry_factor?: number | undefined;
  /** Milliseconds before the second attempt. Default: 1,000. */
  retry_minTimeout?: number | undefined;
  /** Ignored. */
  strictVendor?: boolean | undefined;
  /** Ignored: an agent is never forwarded. */
  agentForward?: boolean | undefined;
  /** Ignored. */
  localHostname?: string | undefined;
  /** Ignored. */
  localUsername?: string | undefined;
  /** Ignored. */
  ident?: string | Uint8Array | undefined;
  /** Ignored: see `keepaliveInterval`. */
  timeout?: number | undefined;
}
