/**
 * An SFTP server for tests: `import { startServer } from 'tsftp/testing'`.
 */
export type { AuthorizedKeys, Users } from './authentication.js';
export type { CommandHandler, CommandResult } from './commands.js';
export type { Counters } from './counters.js';
export type { ChosenFailure, Faults, SeenRequest } from './faults.js';
export type { ServerHostKey } from './host-key.js';
export type { InitialEntry, InitialFile, InitialFiles } from './initial-files.js';
export type { ServerAlgorithms, ServerOptions, ServerSource, TestServer } from './server.js';
export { startServer } from './server.js';
