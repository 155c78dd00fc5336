/** Times as SFTP carries them: whole seconds from 1970 to 2106 (32 bits, section 5 of the draft). */
const LATEST = 0xffff_ffff;

/** The nearest time that a server can be told; what lies outside becomes the first or the last second. */
export function sftpTime(seconds: number): number {
  return Math.min(Math.max(Math.floor(seconds), 0), LATEST);
}
