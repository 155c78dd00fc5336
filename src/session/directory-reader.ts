/** A directory as a whole, with as few turns of the line as it takes. */
import { untilAborted } from '../abort.js';
import { SftpError, SftpStatusError } from '../errors.js';
import { quote, type RemotePath } from '../remote-path.js';
import type { FileAttributes } from '../wire/attributes.js';
import type { OperationOptions, SftpClient } from './sftp-client.js';

/** More is taken for a listing without end. */
const MAX_ENTRIES = 1_000_000;
/** The server gives some hundred names at a time: this many requests are on the way in a large directory. */
const MAX_REQUESTS = 16;
/** A small directory is complete with the second answer, which says that this was all. */
const FIRST_REQUESTS = 2;
const MAX_EMPTY_ANSWERS = 64;

/**
 * The entries of a directory, without `.` and `..`, in no order. Several READDIRs are on the way at once, more
 * with each answer that was not the last; those behind the end are answered with the end again.
 *
 * @throws SftpError (`LIMIT`) where a million entries have not been all.
 */
export async function readDirectory(
  client: SftpClient,
  path: RemotePath,
  options: OperationOptions = {},
): Promise<FileAttributes[]> {
  const handle = await client.opendir(path, options);
  const entries: FileAttributes[] = [];
  const lanes: Promise<void>[] = [];
  let isComplete = false;
  let emptyAnswers = 0;
  let failure: { readonly error: unknown } | undefined;

  const take = (batch: readonly FileAttributes[]) => {
    for (const entry of batch) if (entry.filename !== '.' && entry.filename !== '..') entries.push(entry);
    if (batch.length === 0) emptyAnswers += 1;
    if (entries.length > MAX_ENTRIES || emptyAnswers > MAX_EMPTY_ANSWERS) {
      throw new SftpError('LIMIT', `${quote(path)}: the listing has no end after ${entries.length} entries`);
    }
  };
  const read = async () => {
    while (!isComplete && failure === undefined) {
      const batch = await client.readdir(handle, options);
      if (batch === null) isComplete = true;
      else {
        take(batch);
        if (lanes.length < MAX_REQUESTS) open();
      }
    }
  };
  const open = () => {
    const lane = read().catch((error) => {
      // What comes behind the end may be a failure as well.
      if (!isComplete || !(error instanceof SftpStatusError)) failure ??= { error };
    });
    lanes.push(lane);
  };

  for (let count = 0; count < FIRST_REQUESTS; count += 1) open();
  // The list grows while it is waited for.
  for (let index = 0; index < lanes.length; index += 1) await lanes[index];
  // The listing is complete or has failed already; what a close adds to that helps nobody.
  await untilAborted(client.close(handle), options.signal).catch(() => {});
  if (failure !== undefined) throw failure.error;
  return entries;
}

/** Whether a path can be opened as a directory: what is left to ask where a server does not tell types. */
export async function opensAsDirectory(
  client: SftpClient,
  path: RemotePath,
  options: OperationOptions = {},
): Promise<boolean> {
  try {
    await client.close(await client.opendir(path, options), options);
    return true;
  } catch (error) {
    if (error instanceof SftpStatusError) return false;
    throw error;
  }
}
