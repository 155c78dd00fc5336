/** The names of the entry point as every version of TypeScript can read them: before 5.6 no name may be a string. */
export { SftpClient, SftpClient as default } from './client.js';
export type { ClientError } from './client-error.js';
export type * from './types.js';
export type { UploadSource } from './uploads.js';
