/**
 * The functions of node:fs on a server: `import { remoteFs } from 'tsftp/fs'`.
 */
export type { RemoteFsOptions } from './options.js';
export { remoteFs } from './remote-fs.js';
export type {
  Refusal,
  RemoteFs,
  RemoteFsPromises,
  RemoteFsStatus,
  RemoteGlob,
  RemoteGlobCallback,
  RemoteGlobOptions,
} from './types.js';
