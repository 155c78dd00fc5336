export type { Content } from './arguments.js';
export { CnOpts, knownHosts } from './cnopts.js';
export type { CnOptsFields, JumpHost } from './cnopts-fields.js';
export { connect } from './connect.js';
export type { Timestamp } from './connection/attributes.js';
export type { CopyBetweenOptions } from './connection/between.js';
export type { RunOptions, RunResult } from './connection/commands.js';
export type { ReadFileOptions, WriteFileOptions } from './connection/content-options.js';
export type { FileSystemStatistics } from './connection/file-system-statistics.js';
export type {
  FileWriteStreamOptions,
  GetfoOptions,
  OpenOptions,
  PutfoOptions,
} from './connection/files.js';
export type { SymlinkOptions } from './connection/links.js';
export type { MirrorOptions } from './connection/mirror.js';
export { type AutoCloseOption, RemoteFile, type Whence } from './connection/remote-file.js';
export type { CopyOptions } from './connection/server-copy.js';
export type {
  GetOptions,
  ProgressCallback,
  PutOptions,
  PutTreeOptions,
  TransferOptions,
  TreeOptions,
  TreeProgressCallback,
} from './connection/transfer-options.js';
export type { WalkEntry, WalkOptions } from './connection/walk.js';
export type { FoundFile, WaitForFileOptions, WatchEvent, WatchOptions } from './connection/watch.js';
export { type CallOptions, Connection, copyBetween } from './connection.js';
export * from './errors.js';
export { cd, type Restorer, walktree } from './local-directory.js';
export type { Logger } from './log.js';
export { stModeToInt } from './modes.js';
export type { ConnectOptions, HostOptions } from './options.js';
export { pathAdvance, pathRetreat, reparent } from './paths.js';
export type { RemotePath } from './remote-path.js';
export type { RetryOptions } from './retry.js';
export {
  OPEN_FLAGS,
  type OperationOptions,
  type RemoteHandle,
  type SftpClient,
} from './session/sftp-client.js';
export type { SpeedOptions } from './speed.js';
export { AgentKey, type AgentTimeouts, listAgentKeys } from './ssh/agent.js';
export type { AlgorithmPreset, SecurityOptions } from './ssh/algorithms.js';
export { type HostKeyStatus, HostKeys, type HostKeyVerdict, type KnownHostEntry } from './ssh/known-hosts.js';
export type { ServerKey } from './ssh/ssh-connection.js';
export type {
  HostKeyQuestion,
  HostKeyVerifier,
  PromptHandler,
  PromptKind,
  PromptRequest,
} from './ssh/ssh2.js';
export type { LinesOptions } from './transfer/lines.js';
export type { MirrorReport } from './transfer/mirror.js';
export type { MirrorComparison } from './transfer/mirror-comparison.js';
export type { MirrorFailure } from './transfer/mirror-execution.js';
export type { MirrorEntry, MirrorReason, MirrorStep } from './transfer/mirror-plan.js';
export type { KeepReason, Overwrite } from './transfer/overwriting.js';
export type { TransferSpeed } from './transfer/progress.js';
export type { ReadStreamOptions, RemoteReadStream } from './transfer/read-stream.js';
export type { ContentSource } from './transfer/sequential-source.js';
export type { ContentSink, ObjectWithWrite } from './transfer/sink.js';
export type { FileProgress } from './transfer/tree-progress.js';
export type { CopiedEntry, FailedEntry, SkipCode, SkippedEntry, TreeReport } from './transfer/tree-report.js';
export type { TreeEntry } from './transfer/tree-run.js';
export type { RemoteWriteStream, WriteStreamOptions } from './transfer/write-stream.js';
export { type WalkCallback, type WalktreeOptions, WTCallbacks } from './walk-callbacks.js';
export { type AttributeValues, FileAttributes, type FileType } from './wire/attributes.js';
