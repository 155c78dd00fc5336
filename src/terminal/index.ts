/**
 * `tsftp/terminal`: progress in a terminal, ready made. It draws with the package `cli-progress`, which only those
 * who use this entry point need to install: `npm install cli-progress`.
 */
export {
  type TerminalProgress,
  type TerminalProgressOptions,
  terminalProgress,
} from './terminal-progress.js';
