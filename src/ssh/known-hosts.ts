/** How a server's key stands to what is known. */
export type HostKeyStatus = 'trusted' | 'unknown' | 'changed' | 'revoked' | 'other-type';

/** One line of a known_hosts file, or one key given by the program. */
export interface KnownHostEntry {
  readonly marker: 'revoked' | 'cert-authority' | undefined;
  /** For instance `ssh-ed25519`. */
  readonly type: string;
  /** The key as in RFC 4253, section 6.6. */
  readonly key: Buffer;
  /** The file, or `undefined` for a key added by the program. */
  readonly file: string | undefined;
  /** The line, from 1. */
  readonly line: number | undefined;
}

/** What {@link HostKeys.check} found, and the line that decided. */
export interface HostKeyVerdict {
  readonly status: HostKeyStatus;
  readonly entry: KnownHostEntry | undefined;
}

/** Host keys that are trusted. */
export class HostKeys {
  load(_path: string): this {
    throw new Error('not yet');
  }
  add(_pattern: string, _key: string | Uint8Array): this {
    throw new Error('not yet');
  }
  get size(): number {
    return 0;
  }
  lookup(_host: string, _port = 22): readonly KnownHostEntry[] {
    return [];
  }
  check(_host: string, _port: number, _key: Uint8Array): HostKeyVerdict {
    return { status: 'unknown', entry: undefined };
  }
  keyTypes(_host: string, _port = 22): readonly string[] {
    return [];
  }
}
