/** The lines that READDIR tells beside the names. */
import { FileAttributes } from '../../wire/attributes.js';
import type { NameEntry } from '../../wire/fields.js';
import type { BackendEntry } from '../backends/backend.js';

/** With a line like that of `ls -l`; the name in it keeps its bytes. */
export function nameEntry({ name, attributes }: BackendEntry): NameEntry {
  const line = `${new FileAttributes(attributes)} `;
  return { filename: name, longname: Buffer.concat([Buffer.from(line), name]), attributes };
}
