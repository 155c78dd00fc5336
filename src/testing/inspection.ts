/** What tests want to know of the files without a client in between. */
import type { Backend } from './backends/backend.js';
import { MAX_READ_LENGTH } from './sftp/session-state.js';

export function readWholeFile(backend: Backend, path: Uint8Array): Buffer {
  const file = backend.open(path, {
    read: true,
    write: false,
    append: false,
    create: false,
    truncate: false,
    exclusive: false,
    mode: undefined,
  });
  try {
    const pieces: Buffer[] = [];
    let offset = 0;
    for (;;) {
      const piece = file.read(offset, MAX_READ_LENGTH);
      if (piece.length === 0) return Buffer.concat(pieces);
      pieces.push(piece);
      offset += piece.length;
    }
  } finally {
    file.close();
  }
}

export function listNames(backend: Backend, path: Uint8Array): string[] {
  const names = backend
    .openDirectory(path)
    .read(Number.POSITIVE_INFINITY)
    .map(({ name }) => name.toString('utf8'));
  return names.filter((name) => name !== '.' && name !== '..').sort();
}
