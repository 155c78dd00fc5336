/** The servers that are odd and mean no harm: each is a switch of the embedded server, or a few of them. */
import type { Faults } from '../../src/testing/index.js';
import { type ExtensionName, extensions } from '../../src/wire/extensions.js';

export interface Oddity {
  readonly faults?: Faults;
  /** Those that are offered; all unless given. */
  readonly extensions?: readonly string[];
  /** Files are gone after they were written, so that nothing can be done with them. */
  readonly filesVanish?: boolean;
  /** No size is told, or 0. */
  readonly noSizes?: boolean;
}

/** All that the embedded server has, but one. */
function without(name: ExtensionName): readonly string[] {
  return Object.keys(extensions)
    .filter((key) => key !== name)
    .map((key) => extensions[key as ExtensionName].name);
}

/** All of them; but OpenSSH's server is known by the order in which it tells its own. */
const inAnotherOrder: readonly string[] = Object.values(extensions)
  .map(({ name }) => name)
  .reverse();

export const oddities = {
  'knows no extension at all': { extensions: [] },
  'tells no limits': { extensions: without('limits') },
  'has no posix-rename': { extensions: without('posixRename') },
  'keeps 32 handles': { faults: { maxHandles: 32 } },
  'keeps 32 handles and does not tell': {
    faults: { maxHandles: 32 },
    extensions: without('limits'),
  },
  'takes one request at a time': { faults: { oneAtATime: true } },
  'answers out of order': { faults: { outOfOrder: true } },
  'has no random-access writes': { faults: { sequentialWrites: true } },
  'refuses FSETSTAT': { faults: { refuseSetstat: true } },
  'refuses FSETSTAT and takes SETSTAT': { faults: { refuseFsetstat: true } },
  'takes no permissions in OPEN': { faults: { refuseOpenMode: true } },
  'knows the flags of OPEN that have a name': { faults: { fixedOpenFlags: true } },
  'opens what exists though EXCL is set': { faults: { ignoresExclusive: true }, extensions: inAnotherOrder },
  'empties no file': { faults: { truncation: 'never' } },
  'refuses to append': { faults: { append: 'refused' } },
  'ignores APPEND': { faults: { append: 'ignored' } },
  'empties what it might have made': { faults: { truncation: 'creat' } },
  'has several workers': { faults: { workers: true } },
  'gives handles twice': { faults: { handlesTwice: true } },
  'takes files away after CLOSE': { faults: { removeAfterClose: true }, filesVanish: true },
  // The switch does not look into extensions, which Windows servers have none of.
  'has Windows paths': { faults: { windowsPaths: true }, extensions: [] },
  'has no realpath': { faults: { noRealpath: true } },
  'finds nothing by realpath': { faults: { noRealpath: 'ENOENT' } },
  'reads short': { faults: { maxReadLength: 1000 } },
  'tells no longname': { faults: { noLongname: true } },
  'tells no type in the mode': { faults: { noFileType: true } },
  'says that every size is 0': { faults: { size: 'zero' }, noSizes: true },
  'tells no size': { faults: { size: 'absent' }, noSizes: true },
  'lists one entry at a time': { faults: { maxNames: 1 } },
  'lists no names at the end': { faults: { emptyNameAtEnd: true } },
  'lists the same names for each READDIR at once': { faults: { repeatsNames: true, maxNames: 2 } },
  'has long names of another form': { faults: { oddLongname: true, noFileType: true } },
  'has status codes from 9 to 31': { faults: { laterStatusCodes: true } },
} as const satisfies Readonly<Record<string, Oddity>>;

export type OddityName = keyof typeof oddities;

export const oddityNames = Object.keys(oddities) as OddityName[];
