/**
 * `tsftp/ssh2-sftp-client`: the class of the package ssh2-sftp-client over tsftp, for programs that were written for it.
 * It is what `import` and `require` of this entry point give, and it has its types with it, also as `Client.FileInfo`.
 */
export * from './entry.js';
// The second name is what `require` gives (Node.js, "Loading ECMAScript modules using require()").
export { default, default as 'module.exports' } from './entry.js';
