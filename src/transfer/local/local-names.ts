/** Names from elsewhere on the local disk. */
import type { Buffer } from 'node:buffer';

const DOT = 0x2e;
const SLASH = 0x2f;

/** Names that mean a device on Windows, whatever their ending, and however many spaces are before it. */
const WINDOWS_DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\.|$)/i;

/**
 * A name that came from a server is used only if it names one thing, inside the directory.
 *
 * @param platform as `process.platform`
 */
export function objectionTo(name: Buffer, platform: NodeJS.Platform = process.platform): string | undefined {
  if (name.length === 0) return 'it is empty';
  if (name.length <= 2 && name.every((byte) => byte === DOT)) return 'it names a directory above';
  if (name.includes(0)) return 'it contains a NUL';
  if (name.includes(SLASH)) return 'it contains a separator';
  if (platform !== 'win32') return undefined;
  const text = name.toString('utf8');
  if (/[\\:*?"<>|]/.test(text) || [...text].some((character) => character < ' ')) {
    return 'it contains a character that Windows does not allow';
  }
  if (/[. ]$/.test(text)) return 'it ends with a dot or a space, which Windows cuts off';
  return WINDOWS_DEVICE.test(text) ? 'it names a device on Windows' : undefined;
}

/**
 * Equal for names that the disks of a platform usually take for one: on macOS and Windows capitals make no
 * difference, nor does the form in which an accent is written.
 *
 * @param platform as `process.platform`
 */
export function identityOf(name: Buffer, platform: NodeJS.Platform = process.platform): string {
  if (platform !== 'darwin' && platform !== 'win32') return name.toString('latin1');
  return name.toString('utf8').normalize('NFC').toLowerCase().normalize('NFC');
}
