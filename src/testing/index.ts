/**
 * An SFTP server for tests: `import { startServer } from 'tsftp/testing'`.
 */
export type { RequestName } from '../wire/packets.js';
export type { AuthorizedKeys, Users } from './authentication.js';
export type { InitialEntry, InitialFile, InitialFiles } from './backends/initial-files.js';
export type { CommandHandler, CommandResult } from './commands.js';
export type { Counters } from './counters.js';
export type { ChosenFailure, Faults, SeenRequest } from './faults.js';
export type { ServerHostKey } from './host-key.js';
export type { ServerAlgorithms, ServerOptions, ServerSource, TestServer } from './server.js';
export { startServer } from './server.js';
