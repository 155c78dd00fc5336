/** The question about the key of a server that is not known, as ssh asks it. A yes is never silent. */
import { HostKeysError, type HostKeyVerifier } from '../../index.js';
import { printable } from '../../shared/printable.js';
import { ask } from './prompt.js';

/** Decides on a server's key: one that is known needs no question, and only one that is new is asked about. */
export function asksAboutHostKeys(signal: AbortSignal): HostKeyVerifier {
  return async ({ host, port, type, fingerprint, refusal }) => {
    if (refusal === undefined) return true;
    if (refusal.code !== 'HOST_KEY_UNKNOWN' || refusal.line !== undefined) return false;
    return askAboutHostKey(
      { host: port === 22 ? host : `[${host}]:${port}`, type, fingerprint, isAdded: true },
      signal,
    );
  };
}

/** What is shown of a key. */
interface ShownKey {
  readonly host: string;
  readonly type: string;
  readonly fingerprint: string;
  /** Whether it is added to known_hosts. */
  readonly isAdded: boolean;
}

/** Yes, or the very fingerprint, means yes. */
export async function askAboutHostKey(
  { host, type, fingerprint, isAdded }: ShownKey,
  signal: AbortSignal,
): Promise<boolean> {
  const kind = type.replace(/^(?:ssh-|ecdsa-sha2-)/, '').toUpperCase();
  process.stderr.write(
    `The authenticity of host '${printable(host)}' can't be established.\n` +
      `${printable(kind)} key fingerprint is ${fingerprint}.\n`,
  );
  let question = 'Are you sure you want to continue connecting (yes/no/[fingerprint])? ';
  for (;;) {
    const answer = (await ask(question, { echo: true, signal })).trim();
    if (answer.toLowerCase() === 'yes' || answer === fingerprint) {
      if (isAdded)
        process.stderr.write(
          `Permanently added '${printable(host)}' (${printable(kind)}) to the list of known hosts.\n`,
        );
      return true;
    }
    if (answer.toLowerCase() === 'no') return false;
    question = "Please type 'yes', 'no' or the fingerprint: ";
  }
}

/** The advice of the library is about its options; here it is about the command line. */
export function inWordsOfTheCommandLine(error: unknown): unknown {
  if (!(error instanceof HostKeysError)) return error;
  const { fingerprint, keyType, publicKey, file, line, code } = error;
  const message = error.message
    .replace(
      /pin the key with this option of connect:\n\n {2}fingerprint: '(SHA256:[^']+)'\n\nor /,
      (_, pin: string) => `give this option:\n\n  --fingerprint ${pin}\n\nor `,
    )
    .replace(/add this line to (.+):\n\n {2}(.+)\n/, (_, path: string, text: string) => {
      const target = /^[\w@%+=:,./~-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
      return `add the key with this command:\n\n  echo '${text}' >> ${target}\n`;
    });
  return new HostKeysError(code, message.trimEnd(), {
    cause: error,
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(keyType === undefined ? {} : { keyType }),
    ...(publicKey === undefined ? {} : { publicKey }),
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
  });
}
