/** A directory as a whole, with as few turns of the line as it takes. */
import { untilAborted } from '../abort.js';
import { SftpError } from '../errors.js';
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

export interface ListingOptions extends OperationOptions {
  /** Takes the closing of the directory, where nobody need wait for it. */
  readonly inBackground?: ((closing: Promise<void>) => void) | undefined;
}

/** The entries of a directory, without `.` and `..`, in no order; errors as {@link readEntries}. */
export async function readDirectory(
  client: SftpClient,
  path: RemotePath,
  options: ListingOptions = {},
): Promise<FileAttributes[]> {
  const entries: FileAttributes[] = [];
  await readEntries(client, path, (entry) => entries.push(entry), options);
  return entries;
}

/**
 * Gives every entry of a directory to `take`, without `.` and `..`, in no order. Several READDIRs are on the way at
 * once, more with each answer that was not the last. They are carried out in their order (section 6 of the draft asks
 * that of requests for one handle), so what was asked behind the end is not waited for.
 *
 * @throws SftpError (`LIMIT`) where a million entries have not been all.
 */
export async function readEntries(
  client: SftpClient,
  path: RemotePath,
  take: (entry: FileAttributes) => void,
  { inBackground, ...options }: ListingOptions = {},
): Promise<void> {
  const handle = await client.opendir(path, options);
  let count = 0;
  const asked: Promise<readonly FileAttributes[] | null>[] = [];
  const askUpTo = (allowed: number) => {
    while (asked.length < allowed) {
      const answer = client.readdir(handle, options);
      // Its failure is noticed when its turn has come, which behind the end never comes.
      answer.catch(() => {});
      asked.push(answer);
    }
  };
  let emptyAnswers = 0;
  try {
    askUpTo(FIRST_REQUESTS);
    for (let allowed = FIRST_REQUESTS; ; allowed = Math.min(MAX_REQUESTS, allowed + 1)) {
      const batch = await asked.shift();
      if (batch === undefined || batch === null) break;
      for (const entry of batch) {
        if (entry.filename === '.' || entry.filename === '..') continue;
        count += 1;
        take(entry);
      }
      if (batch.length === 0) emptyAnswers += 1;
      if (count > MAX_ENTRIES || emptyAnswers > MAX_EMPTY_ANSWERS) {
        throw new SftpError('LIMIT', `${quote(path)}: the listing has no end after ${count} entries`);
      }
      askUpTo(allowed);
    }
  } finally {
    // The listing is complete or has failed already; what a close adds to that helps nobody.
    const closing = untilAborted(client.close(handle), options.signal).catch(() => {});
    if (inBackground === undefined) await closing;
    else inBackground(closing);
  }
}
