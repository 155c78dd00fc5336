/**
 * What is said of FIFOs, sockets and devices in place of a file. A copy reads and writes at several places at once, and
 * SFTP does so by its very requests, which most of these cannot do; and to open a FIFO may block for good.
 */
import type { FileType } from '../wire/attributes.js';

interface Special {
  readonly type: FileType;
  readonly isLocal: boolean;
}

const ON_SERVER = 'run a command there that does, with run()';

export function specialSource({ type, isLocal }: Special): string {
  const advice = isLocal
    ? 'upload what it gives with putfo and a stream'
    : `SFTP cannot read all of it: ${ON_SERVER}`;
  return `it is not a regular file but a ${type}; ${advice}`;
}

/** @param isInPlace whether it was to be written to, and not to be replaced */
export function specialTarget({ type, isLocal }: Special, isInPlace: boolean): string {
  const isDevice = type === 'character-device' || type === 'block-device';
  const option = isDevice && !isInPlace ? 'set atomic: false, or ' : '';
  const advice = isLocal
    ? `${option}write to it with getfo and a stream`
    : `SFTP cannot write to it in order: ${ON_SERVER}`;
  return `it is not a regular file but a ${type}; ${advice}`;
}
