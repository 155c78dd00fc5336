/** Finds and reads the files of an ssh configuration, and those that `Include` names. */
import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { isAbsolute, join, parse, sep } from 'node:path';
import { SshError } from '../../errors.js';
import { matches, parseGlob } from '../../shared/pattern.js';
import { expandHome, homeDirectory, systemFolder } from '../home-path.js';
import { MAXIMUM_BYTES, readTextFile } from '../text-file.js';

/** A file to read settings from. */
export interface ConfigFile {
  readonly path: string;
  /** Where what `Include` names is looked for. */
  readonly folder: string;
  /** Is it no error that there is none? */
  readonly optional: boolean;
  /** Must nobody but its owner be able to write to it? */
  readonly guarded: boolean;
}

/** `true`: the user's own and the system's, in the order in which ssh reads them; else the files named. */
export function configFiles(config: true | string | readonly string[]): readonly ConfigFile[] {
  const home = homeDirectory();
  const userFolder = join(home ?? '~', '.ssh');
  if (config !== true) {
    return [config]
      .flat()
      .map((path) => ({ path: expandHome(path), folder: userFolder, optional: false, guarded: false }));
  }
  const system = systemFolder();
  return [
    ...(home === undefined
      ? []
      : [{ path: join(userFolder, 'config'), folder: userFolder, optional: true, guarded: true }]),
    { path: join(system, 'ssh_config'), folder: system, optional: true, guarded: false },
  ];
}

/** Gives `undefined` for an optional file that does not exist. Throws `SshError` (`CONFIG_UNUSABLE`). */
export function readConfigFile(file: ConfigFile): string | undefined {
  const fail = (why: string, cause?: unknown): SshError =>
    new SshError('CONFIG_UNUSABLE', `Cannot use the ssh configuration ${file.path}: ${why}`, { cause });
  try {
    const limit = { maximumBytes: MAXIMUM_BYTES.configuration, encoding: 'utf8' } as const;
    const { text, facts } = readTextFile(file.path, limit);
    if (file.guarded && isOpenToOthers(facts)) {
      throw fail(`others can write to it, and so decide where you connect to: chmod 600 ${file.path}`);
    }
    return text;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (cause instanceof SshError) {
      throw cause;
    }
    if (file.optional && code === 'ENOENT') {
      return undefined;
    }
    throw fail(message, cause);
  }
}

/** As ssh sees it: it must be the user's or root's, and neither the group nor others may write. */
function isOpenToOthers(facts: Stats): boolean {
  // To write to the null device changes nothing.
  if (process.platform === 'win32' || !facts.isFile()) return false;
  return (facts.uid !== 0 && facts.uid !== process.getuid?.()) || (facts.mode & 0o022) !== 0;
}

/** The files that an `Include` pattern means, sorted; none is no error. */
export function findIncluded(pattern: string, from: ConfigFile): readonly ConfigFile[] {
  const path = expandHome(pattern);
  const full = isAbsolute(path) ? path : join(from.folder, path);
  const { root } = parse(full);
  const segments = full
    .slice(root.length)
    .split(process.platform === 'win32' ? /[\\/]/ : '/')
    .filter((segment) => segment !== '');
  let found: readonly string[] = [root];
  for (const segment of segments) {
    found = found.flatMap((folder) => matchesIn(folder, segment));
  }
  return found.map((match) => ({ ...from, path: match, optional: true }));
}

function matchesIn(folder: string, segment: string): readonly string[] {
  const prefix = folder.endsWith(sep) || folder.endsWith('/') ? folder : `${folder}${sep}`;
  if (!/[*?[\\]/.test(segment)) {
    return exists(prefix + segment) ? [prefix + segment] : [];
  }
  const wanted = parseGlob(segment);
  try {
    return readdirSync(folder)
      .filter((name) => matches(wanted, name) && (segment.startsWith('.') || !name.startsWith('.')))
      .sort()
      .map((name) => prefix + name);
  } catch {
    return [];
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
