/**
 * Every option of every call with a value that it takes and one that it does not. It is never run: it is compiled, with
 * every TypeScript that is supported, and an option that is missing here or takes the wrong value is an error.
 */
import type { Duplex } from 'node:stream';
import type {
  AgentKey,
  AlgorithmChanges,
  AutoCloseOption,
  CallOptions,
  ChownOptions,
  CnOptsFields,
  Connection,
  CopyBetweenOptions,
  CopyOptions,
  FileWriteStreamOptions,
  GetfoOptions,
  GetOptions,
  GetTreeOptions,
  HostKeys,
  HostOptions,
  JumpHost,
  LinesOptions,
  MirrorOptions,
  MkdirOptions,
  OpenOptions,
  PutfoOptions,
  PutOptions,
  PutTreeOptions,
  ReadFileOptions,
  ReadStreamOptions,
  RenameOptions,
  RetryOptions,
  RunOptions,
  SymlinkOptions,
  WaitForFileOptions,
  WalkOptions,
  WatchOptions,
  WriteFileOptions,
} from '../../src/index.js';

type Right<T> = { readonly [K in keyof T]-?: readonly T[K][] };
type Wrong<T, W> = {
  readonly [K in keyof W]: K extends keyof T ? (W[K] extends T[K] ? never : W[K]) : never;
};

/** What each option takes, and what it does not. */
declare function options<T>(): <const W extends { readonly [K in keyof T]-?: unknown }>(
  right: Right<T>,
  wrong: W & Wrong<T, W>,
) => void;

declare const signal: AbortSignal;
declare const agentKey: AgentKey;
declare const hostKeys: HostKeys;
declare const duplex: Duplex;

const callRight = { signal: [signal, undefined], timeout: [1000, undefined] } as const;
const callWrong = { signal: true, timeout: '1000' } as const;
options<CallOptions>()(callRight, callWrong);

const speedRight = {
  bytesPerSecond: [1e6],
  concurrency: [4],
  channels: [2],
  connections: [2, 'auto'],
} as const;
const speedWrong = { bytesPerSecond: '1M', concurrency: '4', channels: '2', connections: 'many' } as const;

const retryRight: Right<RetryOptions> = {
  attempts: [5],
  delay: [1000],
  factor: [2],
  jitter: [0.5],
  maxDelay: [60_000],
};
options<RetryOptions>()(retryRight, {
  attempts: '5',
  delay: '1s',
  factor: '2',
  jitter: true,
  maxDelay: null,
});

const hopRight = {
  knownHosts: ['a', ['a', 'b']],
  hostKeys: [hostKeys, null],
  knownhosts: ['a', ['a', 'b']],
  hostkeys: [hostKeys, null],
  fingerprint: ['SHA256:x', ['SHA256:x']],
  hostKeyPolicy: ['strict', 'accept-new'],
  verifyHostKey: [() => true, async () => false],
  algorithms: ['modern', 'legacy'],
  agent: ['/run/agent', false],
} as const;
const hopWrong = {
  knownHosts: 1,
  hostKeys: 'a',
  knownhosts: false,
  hostkeys: false,
  fingerprint: 1,
  hostKeyPolicy: 'never',
  verifyHostKey: true,
  algorithms: 'old',
  agent: true,
} as const;

const list = [['one', 'two'], { append: ['one'], prepend: ['two'], remove: ['three'] }] as const;
options<AlgorithmChanges>()(
  { append: [['a']], prepend: [['a']], remove: [['a']] },
  { append: 'a', prepend: 1, remove: true },
);

const fieldsRight = {
  ...hopRight,
  compression: [true],
  ciphers: list,
  hostKeyAlgorithms: list,
  kex: list,
  macs: list,
  keepaliveInterval: [0],
  keepaliveCountMax: [3],
  connectTimeout: [20_000],
  callTimeout: [5000],
  noProgressTimeout: [60_000],
  identityFiles: [['a'], false],
  onPrompt: [() => ['answer']],
  log: [true, 'file'],
  logger: [console, (level: string, message: string) => console.log(level, message)],
  subsystem: ['sftp'],
  serverCommand: ['sudo sftp-server'],
  config: [true, 'file', ['a', 'b']],
  proxyJump: ['hop', ['hop', { host: 'hop' }]],
  proxyCommand: ['nc %h %p'],
  family: [4, 6],
  localAddress: ['192.0.2.1'],
  authMethods: [['publickey', 'password', 'keyboard-interactive']],
  transport: ['ssh2', 'openssh'],
} as const;
const fieldsWrong = {
  ...hopWrong,
  compression: 'yes',
  ciphers: 'aes128-ctr',
  hostKeyAlgorithms: 1,
  kex: { apend: 1 },
  macs: { append: 'a' },
  keepaliveInterval: '15s',
  keepaliveCountMax: '3',
  connectTimeout: '20s',
  callTimeout: '5s',
  noProgressTimeout: null,
  identityFiles: true,
  onPrompt: 'answer',
  log: 1,
  logger: { log: () => {} },
  subsystem: true,
  serverCommand: ['sudo'],
  config: 1,
  proxyJump: { port: 22 },
  proxyCommand: ['nc'],
  family: 5,
  localAddress: 1,
  authMethods: ['passwd'],
  transport: 'putty',
} as const;
options<CnOptsFields>()(fieldsRight, fieldsWrong);

const loginRight = {
  host: ['h'],
  port: [22],
  username: ['me'],
  password: ['secret'],
  privateKey: ['~/.ssh/id', new Uint8Array(), agentKey],
  privateKeyPass: ['secret'],
} as const;
const loginWrong = {
  host: 1,
  port: '22',
  username: 1,
  password: 1,
  privateKey: 1,
  privateKeyPass: 1,
} as const;
options<JumpHost>()(
  { ...hopRight, ...loginRight, cnopts: [{ fingerprint: 'x' }] },
  { ...hopWrong, ...loginWrong, cnopts: 1 },
);

options<HostOptions>()(
  {
    ...fieldsRight,
    ...loginRight,
    ...speedRight,
    socket: [duplex, () => duplex, async () => duplex],
    defaultPath: ['/start'],
    cnopts: [{ hostkeys: null }],
    signal: [signal],
    retry: [{ attempts: 3 }, false],
    onReconnecting: [() => {}],
    onReconnected: [() => {}],
  },
  {
    ...fieldsWrong,
    ...loginWrong,
    ...speedWrong,
    socket: 'tcp',
    defaultPath: 1,
    cnopts: 'x',
    signal: true,
    retry: true,
    onReconnecting: true,
    onReconnected: true,
  },
);

const transferRight = {
  ...callRight,
  ...speedRight,
  preserveMtime: [true],
  preserveMode: [true],
  atomic: [true, false, 'preferred'],
  allowGrowth: [true],
  fsync: [true],
  overwrite: [true, 'newer', 'different', 'never', 'always'],
  resume: [true],
  owner: ['job'],
  retry: [{ attempts: 3 }, false],
  callback: [(transferred: number, total: number) => void (transferred / total)],
} as const;
const transferWrong = {
  ...callWrong,
  ...speedWrong,
  preserveMtime: 1,
  preserveMode: 'yes',
  atomic: 'existing',
  allowGrowth: 1,
  fsync: 1,
  overwrite: 'older',
  resume: 'yes',
  owner: 1,
  retry: 3,
  callback: true,
} as const;
const fileRight = { ...transferRight, onInPlace: [(path: string) => void path] } as const;
const fileWrong = { ...transferWrong, onInPlace: 'warn' } as const;
options<GetOptions>()(fileRight, fileWrong);
options<PutOptions>()(
  { ...fileRight, confirm: [true], mode: [640, '640'] },
  { ...fileWrong, confirm: 'yes', mode: true },
);

const treeRight = {
  ...transferRight,
  onFile: [() => {}],
  symlinks: ['follow', 'skip', 'copy'],
  filter: [() => true, async () => true],
  continueOnError: [true],
} as const;
const treeWrong = {
  ...transferWrong,
  onFile: true,
  symlinks: 'leave',
  filter: '*',
  continueOnError: 1,
} as const;
options<GetTreeOptions>()({ ...treeRight, into: [true] }, { ...treeWrong, into: 'here' });
options<PutTreeOptions>()(
  { ...treeRight, confirm: [true], mode: [640] },
  { ...treeWrong, confirm: 1, mode: null },
);

options<MirrorOptions>()(
  {
    ...callRight,
    ...speedRight,
    direction: ['up', 'down'],
    delete: [true],
    dryRun: [true],
    confirm: [(plan) => plan.length < 10, async () => false],
    confirmSize: [true],
    maxDelete: [0],
    plan: [[{ action: 'create', path: 'a', type: 'file' }]],
    compare: ['size', 'size-mtime', 'checksum', () => true],
    symlinks: ['follow', 'skip', 'copy'],
    filter: [() => true],
    preserveMtime: [true],
    preserveMode: [true],
    atomic: [true, 'preferred'],
    allowGrowth: [true],
    continueOnError: [true],
    callback: [() => {}],
    retry: [false],
  },
  {
    ...callWrong,
    ...speedWrong,
    direction: 'left',
    delete: 'yes',
    dryRun: 1,
    confirm: false,
    confirmSize: 1,
    maxDelete: '1',
    plan: 'plan',
    compare: 'time',
    symlinks: true,
    filter: '*',
    preserveMtime: 1,
    preserveMode: 1,
    atomic: 1,
    allowGrowth: 1,
    continueOnError: 1,
    callback: 1,
    retry: true,
  },
);

options<CopyBetweenOptions>()(
  {
    ...callRight,
    ...speedRight,
    allowGrowth: [true],
    callback: [() => {}],
    preserveMtime: [true],
    preserveMode: [true],
    atomic: [true, 'preferred'],
    confirm: [true],
    symlinks: ['follow', 'skip'],
    retry: [false],
  },
  {
    ...callWrong,
    ...speedWrong,
    allowGrowth: 1,
    callback: 1,
    preserveMtime: 1,
    preserveMode: 1,
    atomic: 1,
    confirm: 1,
    symlinks: 'copy',
    retry: true,
  },
);

options<CopyOptions>()(
  { ...callRight, callback: [() => {}], atomic: [true, 'preferred'], onInPlace: [() => {}] },
  { ...callWrong, callback: 1, atomic: 1, onInPlace: 1 },
);
options<RenameOptions>()({ ...callRight, overwrite: [true] }, { ...callWrong, overwrite: 'always' });
options<MkdirOptions>()({ ...callRight, mode: [755, '755'] }, { ...callWrong, mode: true });
options<ChownOptions>()({ ...callRight, uid: [1], gid: [1] }, { ...callWrong, uid: 'me', gid: null });
options<SymlinkOptions>()({ ...callRight, order: ['openssh', 'draft'] }, { ...callWrong, order: 'other' });
options<RunOptions>()(
  { ...callRight, input: ['text', new Uint8Array()], maxOutput: [1] },
  { ...callWrong, input: 1, maxOutput: '1' },
);
options<OpenOptions>()(
  { ...callRight, permissions: [600, '600'], bufsize: [1] },
  { ...callWrong, permissions: true, bufsize: '1' },
);
options<ReadFileOptions>()(
  { ...callRight, encoding: ['utf8'], maxLength: [1], start: [0], end: [1] },
  { ...callWrong, encoding: 'utf9', maxLength: '1', start: '0', end: '1' },
);
options<WriteFileOptions>()(
  { ...callRight, encoding: ['utf8'], flag: ['wx'], mode: [600] },
  { ...callWrong, encoding: 'utf9', flag: 1, mode: true },
);
options<LinesOptions>()(
  { ...callRight, encoding: ['latin1'], maxLength: [1] },
  { ...callWrong, encoding: 1, maxLength: '1' },
);
options<AutoCloseOption>()({ autoClose: [false] }, { autoClose: 'no' });

const { connections: connectionsRight, bytesPerSecond: rateRight, concurrency: countRight } = speedRight;
const { connections: connectionsWrong, bytesPerSecond: rateWrong, concurrency: countWrong } = speedWrong;
const streamRight = { ...callRight, start: [0], highWaterMark: [1], bytesPerSecond: rateRight } as const;
const streamWrong = { ...callWrong, start: '0', highWaterMark: '1', bytesPerSecond: rateWrong } as const;
options<ReadStreamOptions>()(
  { ...streamRight, end: [1], encoding: ['utf8'], connections: connectionsRight },
  { ...streamWrong, end: '1', encoding: 'utf9', connections: connectionsWrong },
);
options<FileWriteStreamOptions>()(
  { ...streamRight, encoding: ['utf8'], flags: ['a'], mode: [600] },
  { ...streamWrong, encoding: 'utf9', flags: 1, mode: true },
);
options<GetfoOptions>()(
  {
    ...callRight,
    bytesPerSecond: rateRight,
    concurrency: countRight,
    connections: connectionsRight,
    callback: [() => {}],
    allowGrowth: [true],
  },
  {
    ...callWrong,
    bytesPerSecond: rateWrong,
    concurrency: countWrong,
    connections: connectionsWrong,
    callback: 1,
    allowGrowth: 1,
  },
);
options<PutfoOptions>()(
  {
    ...callRight,
    ...speedRight,
    mode: [600],
    atomic: [true, 'preferred'],
    onInPlace: [() => {}],
    confirm: [true],
    callback: [() => {}],
    fileSize: [1],
  },
  {
    ...callWrong,
    ...speedWrong,
    mode: true,
    atomic: 1,
    onInPlace: 1,
    confirm: 1,
    callback: 1,
    fileSize: '1',
  },
);

options<WalkOptions>()(
  {
    ...callRight,
    maxDepth: [1],
    symlinks: ['report', 'follow', 'skip'],
    filter: [() => true],
    onError: [() => {}],
  },
  { ...callWrong, maxDepth: '1', symlinks: 'copy', filter: '*', onError: true },
);
options<WaitForFileOptions>()(
  { ...callRight, stableFor: [0], pollInterval: [1000] },
  { ...callWrong, stableFor: '1s', pollInterval: '1s' },
);
options<WatchOptions>()(
  { signal: [signal], stableFor: [0], pollInterval: [1000], recursive: [true], initial: [true] },
  { signal: true, stableFor: '1s', pollInterval: '1s', recursive: 1, initial: 1 },
);

/** The forms of calls, and of their results. */
export async function calls(sftp: Connection): Promise<void> {
  await sftp.put('local', { mode: 600 });
  await sftp.put('local', 'remote', { mode: 600 });
  await sftp.get('remote', { preserveMtime: true });
  await sftp.chown('file', { uid: 1 });
  await sftp.chown('file', 1, 2);
  await sftp.mkdir('made', 755);
  await sftp.rename('a', 'b', { overwrite: true });
  const text: string = await sftp.readFile('file', { encoding: 'utf8', start: 1 });
  const { plan } = await sftp.mirror('a', 'b', { direction: 'up', dryRun: true });
  await sftp.mirror(text, 'b', { direction: 'up', plan });
  // @ts-expect-error an option that there is not
  await sftp.put('local', { moed: 600 });
  // @ts-expect-error the direction is never guessed
  await sftp.mirror('a', 'b', {});
  // @ts-expect-error an owner is a number
  await sftp.chown('file', 'me');
}
