/** The files that travel: made here, and compared when they are back. */
import { randomFillSync } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface DemoFile {
  /** Relative, with `/`. */
  readonly path: string;
  readonly bytes: number;
}

export interface Tree {
  readonly directories: readonly string[];
  readonly files: readonly DemoFile[];
  readonly bytes: number;
}

/** Parents first. The last one stays empty. */
const DIRECTORIES = [
  'letters',
  'letters/2025',
  'letters/2026',
  'photos & films',
  'photos & films/summer ☀',
  'empty',
] as const;

const CHUNK_LENGTH = 1024 * 1024;
/** Sizes from 0 to this, evenly mixed. */
const MAX_SMALL_BYTES = 24 * 1024;
const STRIDE = 7919; // A prime.

/** Makes a tree of small files below `folder`: an empty one among them, and an empty directory. */
export async function makeTree(folder: string, count: number, signal: AbortSignal): Promise<Tree> {
  for (const directory of DIRECTORIES) await mkdir(join(folder, directory), { recursive: true });
  const files: DemoFile[] = [];
  for (let index = 0; index < count; index++) {
    signal.throwIfAborted();
    const directory = DIRECTORIES[index % (DIRECTORIES.length - 1)] ?? '';
    const bytes = (index * STRIDE) % MAX_SMALL_BYTES;
    const path = `${directory}/file ${index + 1}.bin`;
    await writeFile(join(folder, path), randomFillSync(Buffer.alloc(bytes)));
    files.push({ path, bytes });
  }
  return { directories: DIRECTORIES, files, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
}

/** Makes one file of random bytes. */
export async function makeFile(
  path: string,
  bytes: number,
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: (bytes: number) => void },
): Promise<void> {
  await using file = await open(path, 'wx');
  const chunk = Buffer.alloc(Math.min(CHUNK_LENGTH, bytes));
  for (let done = 0; done < bytes; done += chunk.length) {
    signal.throwIfAborted();
    await file.write(randomFillSync(chunk), 0, Math.min(chunk.length, bytes - done));
    onProgress(Math.min(done + chunk.length, bytes));
  }
}

/**
 * Compares two local trees: the same names, the same directories, the same bytes.
 *
 * @throws Error that names the first difference.
 */
export async function compareTrees(
  original: string,
  copy: string,
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: (bytes: number) => void },
): Promise<void> {
  const [expected, found] = [await entriesOf(original), await entriesOf(copy)];
  const difference = [...expected, ...found].find((name) => !expected.has(name) || !found.has(name));
  if (difference !== undefined) {
    const where = expected.has(difference) ? 'did not come back' : 'came back and was never sent';
    throw new Error(`${difference} ${where}`);
  }
  let done = 0;
  for (const name of expected) {
    if (name.endsWith('/')) continue;
    done = await compareFiles(join(original, name), join(copy, name), (bytes) => {
      signal.throwIfAborted();
      onProgress(done + bytes);
    }).then((bytes) => done + bytes);
  }
}

/** Everything below a folder, directories with a `/` at the end. */
async function entriesOf(folder: string, prefix = ''): Promise<Set<string>> {
  const names = new Set<string>();
  for (const entry of await readdir(join(folder, prefix), { withFileTypes: true })) {
    const name = prefix + entry.name;
    if (!entry.isDirectory()) names.add(name);
    else for (const inner of [`${name}/`, ...(await entriesOf(folder, `${name}/`))]) names.add(inner);
  }
  return names;
}

async function compareFiles(
  original: string,
  copy: string,
  onProgress: (bytes: number) => void,
): Promise<number> {
  await using left = await open(original);
  await using right = await open(copy);
  const [a, b] = [Buffer.alloc(CHUNK_LENGTH), Buffer.alloc(CHUNK_LENGTH)];
  let offset = 0;
  for (;;) {
    const [gotA, gotB] = await Promise.all([fill(left, a, offset), fill(right, b, offset)]);
    if (!a.subarray(0, gotA).equals(b.subarray(0, gotB))) {
      throw new Error(`${copy} differs from ${original} somewhere after byte ${offset}`);
    }
    offset += gotA;
    onProgress(offset);
    if (gotA < CHUNK_LENGTH) return offset;
  }
}

/** Reads until the buffer is full or the file ends. */
async function fill(file: FileHandle, buffer: Buffer, position: number): Promise<number> {
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, position + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length;
}
