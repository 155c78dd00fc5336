/** Every code of our errors in one table: the types of `code`, docs/errors.md and {@link outlookOf} follow it. */

/**
 * What helps: `retry`, the same may work a moment later; `fix`, it will fail again until the program, its options or the
 * files are others; `ask`, a person has to look at the server, its key or its account.
 */
export type Outlook = 'retry' | 'fix' | 'ask';

interface ErrorCode {
  readonly outlook: Outlook;
  readonly when: string;
  readonly advice: string;
}

const retry = (when: string, advice: string): ErrorCode => ({ outlook: 'retry', when, advice });
const fix = (when: string, advice: string): ErrorCode => ({ outlook: 'fix', when, advice });
const ask = (when: string, advice: string): ErrorCode => ({ outlook: 'ask', when, advice });

/** What the operating system says, here or on the server, under Node's names. */
const SYSTEM_CODES = {
  EACCES: ask('permission is denied', 'check the permissions, and the user that you log in as'),
  EBADF: fix('the file is closed, or not open for that', 'open it again, in a mode that allows it'),
  EBUSY: retry('another process uses it', 'try again later'),
  EDQUOT: ask('the quota of the user is used up', 'remove files, or ask for more'),
  EEXIST: fix('there is something already', 'remove it first, or allow overwriting'),
  EFBIG: fix('the file would be larger than the file system allows', 'split it'),
  EINVAL: fix('the arguments make no sense for this file or this server', 'see the message'),
  EIO: ask('the disk failed', 'look at the log of that computer'),
  EISDIR: fix('it is a directory', 'give the name of the file in it too'),
  ELOOP: fix('symbolic links lead to each other', 'remove the loop'),
  EMFILE: retry('too many files are open', 'open fewer files at once: `concurrency`'),
  ENAMETOOLONG: fix('the name is too long for the file system', 'shorten it'),
  ENODEV: ask('there is no such device', 'look at the server'),
  ENOENT: fix('there is nothing under that name', 'check the path; it counts from the current directory'),
  ENOSPC: ask('the disk is full', 'make room'),
  ENOTDIR: fix('something on the path is not a directory', 'check the path'),
  ENOTEMPTY: fix('the directory is not empty', 'use `rmtree`'),
  ENOTSUP: fix('the server does not support that', 'do without it, or use another way'),
  EPERM: ask(
    'the operation is not permitted',
    'check the owner of the file, and the user that you log in as',
  ),
  ERANGE: fix('a number is larger than the other side can take', 'see the message'),
  EROFS: ask('the file system is mounted read-only', 'write somewhere else'),
  EXDEV: fix('the two paths are on different file systems', 'copy the file instead'),
} as const;

/** Of a connection that was not made. */
const NETWORK_CODES = {
  EADDRINUSE: fix('the port of a test server is taken', 'use another port, or none'),
  EAI_AGAIN: retry('the name server did not answer', 'check the network'),
  ECONNFAILED: retry('the connection failed for a reason without a code', 'see the message'),
  ECONNREFUSED: retry('nothing listens on that port', 'check host and port, and that the server runs'),
  ECONNRESET: retry('the server closed the connection while connecting', 'try again later; check its log'),
  EHOSTUNREACH: retry('there is no route to the host', 'check the address and the network'),
  ENETUNREACH: retry('the network is unreachable', 'check the network'),
  ENOTFOUND: fix('the host name does not exist', 'check the spelling'),
  ETIMEDOUT: retry(
    'there was no answer in time',
    'check the address and firewalls on the way, or allow more time',
  ),
  SERVER_BUSY: retry('too many other clients are logging in', 'try again later'),
} as const;

/** By class: the codes that an error of it may have. */
export const ERROR_CODES = {
  ConnectionError: NETWORK_CODES,
  CredentialError: {
    INVALID_KEY: fix('the private key cannot be parsed', 'give the whole text of the key file'),
    KEY_UNREADABLE: fix('the file of the private key cannot be read', 'check its path and permissions'),
    NO_CREDENTIALS: fix('there is no password, no key and no agent', 'give one of them'),
    NO_USERNAME: fix('the user of this process has no name', 'give the option `username`'),
    UNSUPPORTED_KEY: fix(
      'the private key has a type or a form that is not supported',
      'use Ed25519, ECDSA or RSA',
    ),
    WRONG_PASSPHRASE: fix('the passphrase does not open the private key', 'give the right one'),
  },
  PasswordRequiredError: {
    PASSPHRASE_REQUIRED: fix('the private key is encrypted', 'give `privateKeyPass`, or use an agent'),
  },
  AuthenticationError: {
    AUTHENTICATION_FAILED: ask(
      'the server refused every login method that was tried',
      'see `tried` and `offered`',
    ),
  },
  HostKeysError: {
    HOST_KEY_UNKNOWN: ask(
      'nothing is known about the host',
      'compare the fingerprint with its owner, then pin it',
    ),
    HOST_KEY_CHANGED: ask('the server has another key than before', 'ask its owner before you trust it'),
    HOST_KEY_OTHER_TYPE: ask('only keys of other types are known', 'compare the fingerprint with its owner'),
    HOST_KEY_REVOKED: ask('the key is marked as revoked', 'do not trust it; ask its owner'),
    HOST_KEY_REFUSED: ask('the key is too weak, or your program refused it', 'give the server a new key'),
    KNOWN_HOSTS_UNUSABLE: fix('a known_hosts file is missing or has no key', 'check the path'),
  },
  SshError: {
    CHANNEL_CLOSED: ask('the server closed the channel', 'see what it says; look at its log'),
    CHANNEL_REFUSED: ask(
      'the server refused the subsystem, the command or the jump',
      'check that SFTP is allowed',
    ),
    CHANNEL_TIMEOUT: retry('the server did not start the subsystem in time', 'try again later'),
    CONFIG_INVALID: fix('the ssh configuration has an error', 'mend the line that the message names'),
    CONFIG_UNSUPPORTED: fix('the ssh configuration needs the system’s ssh', "use `transport: 'openssh'`"),
    CONFIG_UNUSABLE: fix('a file of the ssh configuration cannot be read', 'check its path and permissions'),
    HOST_KEY_SWITCHED: ask('the server showed another key during a rekey', 'ask its owner'),
    INVALID_HOST_KEY: fix('the host key of a test server cannot be parsed', 'give the text of a private key'),
    INVALID_PUBLIC_KEY: fix(
      'a line of authorizedKeys is not a public key',
      'give lines like those of a .pub file',
    ),
    NEGOTIATION_FAILED: fix(
      'the two sides have no algorithm in common',
      "update the server, or `algorithms: 'legacy'`",
    ),
    NOT_SSH: fix('something other than SSH answers on that port', 'check the port'),
    PROXY_FAILED: ask(
      'the proxy command or a jump host closed the connection',
      'see its words in the message',
    ),
    SSH2_UNUSABLE: fix(
      'another ssh2 is installed than tsftp works with',
      'install the version that tsftp asks for',
    ),
    SSH_FAILED: ask('the system’s ssh could not connect', 'see its words in the message'),
    SSH_NOT_FOUND: fix('there is no program ssh', "install OpenSSH, or use `transport: 'ssh2'`"),
    SSH_PROTOCOL: ask('the server broke the protocol of SSH', 'look at its log'),
    STRICT_KEX_MISSING: ask('the server is open to the Terrapin attack', 'update the server'),
    UNSUPPORTED_OPTION: fix('an option does not work with this transport', 'use the other transport'),
    UNSUPPORTED_VERSION: ask('the server speaks an old version of SSH', 'update the server'),
    WINDOW_EXCEEDED: ask('the server sent more than allowed', 'look at the server'),
  },
  ConnectionLostError: {
    CLOSED: fix('`close()` was called', 'connect again'),
    CONNECTION_LOST: retry('the connection ended', 'try again, or give `retry`'),
    ECONNRESET: retry('the connection was reset', 'try again, or give `retry`'),
    ETIMEDOUT: retry('the server has not answered for too long', 'try again, or give `retry`'),
    LEASE_LOST: retry(
      'a connection pool closed a connection that was leased: its permit was lost, or the pool was closed',
      'lease another one',
    ),
  },
  TimeoutError: {
    ETIMEDOUT: retry('one call was not answered within `timeout`', 'try again, or allow more time'),
  },
  ProtocolError: {
    PROTOCOL_ERROR: ask('the server broke the protocol of SFTP', 'look at the server'),
  },
  UnsupportedError: {
    ENOTSUP: fix('the server lacks an extension', 'see `extension`'),
  },
  SftpStatusError: {
    ...SYSTEM_CODES,
    ECONNRESET: retry('the server lost its own connection', 'try again later'),
    ENOTCONN: retry('the server has no connection', 'try again later'),
    EOF: fix('there is no more to read', 'stop reading'),
    FAILURE: ask('the server failed and did not say why', 'see `serverMessage`; look at its log'),
  },
  TransferError: {
    ...SYSTEM_CODES,
    FAILURE: ask('the server failed and did not say why', 'look at its log'),
    OVERTAKEN: retry('another worker with the same job goes on with the file', 'try the step again'),
    SIZE_MISMATCH: retry(
      'the target does not have the size that was written',
      'look for another process on that file',
    ),
    SOURCE_CHANGED: retry('the source changed while it was copied', 'retry once nothing is writing to it'),
    TARGET_CHANGED: fix(
      'the target is not what the step of a job expected',
      'plan again; look for another process that writes there',
    ),
    TRANSFER_FAILED: ask('reading or writing failed for a reason without a code', 'see `cause`'),
    UNCONFIRMED: ask(
      'the size of the upload could not be verified',
      'set `confirm: false` if this is expected',
    ),
    VANISHED: ask(
      'the upload was gone when its size was verified',
      'set `confirm: false` if this is expected',
    ),
  },
  SftpError: {
    ABORTED: fix('the walk has ended', 'start another one'),
    EBADF: fix('the file is closed', 'open it again'),
    EINVAL: fix('the two paths are the same', 'give another target'),
    EISDIR: fix('it is a directory', 'give the name of the file in it too'),
    ELOOP: fix(
      'a symbolic link leads to one of its parent directories',
      'remove the loop, or leave links out',
    ),
    EMFILE: retry('the server keeps too few files open', 'open fewer files at once: `concurrency`'),
    ENOTSUP: fix('the server does not report what the call needs', 'see the message'),
    ERANGE: fix('a number is larger than the other side can take', 'see the message'),
    HANDLE_TWICE: retry(
      'the server gave one handle for two files',
      'open fewer files at once: `concurrency`',
    ),
    LIMIT: fix(
      'something is larger than the limit that protects the memory',
      'raise the option, or do it in parts',
    ),
    NAME_COLLISION: fix('two names are one on the target file system', 'rename one of them'),
    NO_HOME_DIRECTORY: fix(
      'the user of this process has no home directory',
      'set HOME, or give a path without ~',
    ),
    OUTSIDE: ask('a symbolic link may lead out of the tree', 'look at it, or leave links out'),
    PLAN_OUTDATED: ask(
      'files have changed since the plan of a mirror was made',
      'make a new plan with `dryRun`',
    ),
    POOL_CLOSED: fix('the connection pool was closed', 'make another one'),
    STATE_CONFLICT: retry('another program has saved a newer state of a scan', 'scan again'),
    TOO_MANY_DELETIONS: ask(
      'a mirror would delete more than `maxDelete` allows',
      'look at the plan with `dryRun`; check that the source is complete',
    ),
    UNSAFE_NAME: ask('the server sent a name that would lead out of the directory', 'look at the server'),
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, ErrorCode>>>>;

/** The codes of a class. */
export type ErrorCodeOf<C extends keyof typeof ERROR_CODES> = keyof (typeof ERROR_CODES)[C] & string;
