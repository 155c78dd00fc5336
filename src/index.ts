export { CnOpts, knownHosts } from './connect/cnopts.js';
export type { CnOptsFields, JumpHost } from './connect/cnopts-fields.js';
export { connect } from './connect/connect.js';
export type { SocketSource } from './connect/given-socket.js';
export type { LogFunction, Logger, LogLevel } from './connect/log.js';
export type { ConnectOptions, HostOptions } from './connect/options.js';
export type { ChownOptions, Timestamp } from './connection/attributes.js';
export type { CopyBetweenOptions } from './connection/between.js';
export type { OutputEncoding, RunOptions, RunResult } from './connection/commands.js';
export type { MkdirOptions } from './connection/directories.js';
export type { FileSystemStatistics } from './connection/file-system-statistics.js';
export type { ReadFileOptions, WriteFileOptions } from './connection/files/content-options.js';
export type {
  FileWriteStreamOptions,
  GetfoOptions,
  OpenOptions,
  PutfoOptions,
} from './connection/files/files.js';
export { type AutoCloseOption, RemoteFile, type Whence } from './connection/files/remote-file.js';
export type { CopyOptions } from './connection/files/server-copy.js';
export type { SymlinkOptions } from './connection/links.js';
export type { MirrorOptions } from './connection/mirror.js';
export type { Reconnecting } from './connection/reconnect/link.js';
export type { RenameOptions } from './connection/renaming.js';
export type { WalkEntry, WalkOptions } from './connection/search/walk.js';
export type { FoundFile, WaitForFileOptions, WatchOptions } from './connection/search/watch.js';
export type { WatchEvent } from './connection/search/watched-tree.js';
export type {
  GetOptions,
  GetTreeOptions,
  ProgressCallback,
  PutOptions,
  PutTreeOptions,
  TransferOptions,
  TreeOptions,
  TreeProgressCallback,
} from './connection/transfer-options.js';
export { Connection, copyBetween } from './connection.js';
export type { Outlook } from './errors/error-codes.js';
export { isTransient, outlookOf } from './errors/outlook.js';
export * from './errors.js';
export { cd, type Restorer, walktree } from './pysftp/local-directory.js';
export { pathAdvance, pathRetreat, reparent } from './pysftp/paths.js';
export { type WalkCallback, type WalktreeOptions, WTCallbacks } from './pysftp/walk-callbacks.js';
export {
  OPEN_FLAGS,
  type OperationOptions,
  type RemoteHandle,
  type SftpClient,
} from './session/sftp-client.js';
export type { Content } from './shared/arguments.js';
export { stModeToInt } from './shared/modes.js';
export type { CallOptions } from './shared/option-checks.js';
export type { RemotePath } from './shared/remote-path.js';
export type { RetryOptions } from './shared/retry.js';
export {
  type AlgorithmChanges,
  type AlgorithmList,
  type AlgorithmPreset,
  DEFAULT_OFFER as DEFAULT_ALGORITHMS,
  type Offer as AlgorithmLists,
  type SecurityOptions,
} from './ssh/algorithms.js';
export { AgentKey, type AgentTimeouts, listAgentKeys } from './ssh/credentials/agent.js';
export type { LoginMethod } from './ssh/credentials/login-methods.js';
export type {
  PromptHandler,
  PromptKind,
  PromptQuestion,
  PromptRequest,
  PromptSource,
} from './ssh/credentials/prompts.js';
export type { HostKeyQuestion, HostKeyVerifier } from './ssh/host-keys/host-key.js';
export {
  type HostKeyStatus,
  HostKeys,
  type HostKeyVerdict,
  type KnownHostEntry,
} from './ssh/host-keys/known-hosts.js';
export type { ServerKey } from './ssh/ssh-connection.js';
export type { SpeedOptions } from './transfer/engine/speed.js';
export type { MirrorReport } from './transfer/mirror/mirror.js';
export type { PlannedMirrorStep } from './transfer/mirror/mirror-approval.js';
export type { MirrorComparison } from './transfer/mirror/mirror-comparison.js';
export type { MirrorFailure } from './transfer/mirror/mirror-execution.js';
export type { MirrorEntry, MirrorReason, MirrorStep } from './transfer/mirror/mirror-step.js';
export type { KeepReason, Overwrite } from './transfer/overwriting.js';
export type { TransferSpeed } from './transfer/progress.js';
export type { LinesOptions } from './transfer/streams/lines.js';
export type { ReadStreamOptions, RemoteReadStream } from './transfer/streams/read-stream.js';
export type { ContentSource } from './transfer/streams/sequential-source.js';
export type { ContentSink, ObjectWithWrite } from './transfer/streams/sink.js';
export type { RemoteWriteStream, WriteStreamOptions } from './transfer/streams/write-stream.js';
export type { EntryFilter } from './transfer/tree/entry-filter.js';
export type { FileProgress } from './transfer/tree/tree-progress.js';
export type {
  CopiedEntry,
  FailedEntry,
  SkipCode,
  SkippedEntry,
  TreeReport,
} from './transfer/tree/tree-report.js';
export type { TreeEntry } from './transfer/tree/tree-run.js';
export { type AttributeValues, FileAttributes, type FileType } from './wire/attributes.js';
