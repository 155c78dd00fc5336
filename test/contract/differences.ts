/**
 * What the contract's tests meet on odd servers that cannot do what is asked. All that is not listed here has to come
 * out there as it does everywhere.
 */
import type { OddityName } from '../support/oddities.js';

export interface Difference {
  readonly why: string;
  /** How the test fails there: what `assert.rejects` takes. */
  readonly outcome: object;
}

/** By suite, and by the name of the test. */
type Differences = Readonly<Record<string, Readonly<Record<string, Difference>>>>;

/** What comes instead of an outcome that the test asserts. */
const found = (actual: unknown) => ({ code: 'ERR_ASSERTION', actual });
const refused = (code: string) => ({ name: 'SftpStatusError', code });
/** Where another refusal was expected: then assert compares what it was given of the error. */
const otherCode = (code: string) => ({
  code: 'ERR_ASSERTION',
  message: new RegExp(`\\+ {3}code: '${code}'`),
});
const lacks = (extension: string) => ({
  why: `the server has no ${extension}`,
  outcome: { name: 'UnsupportedError', extension },
});

const noExtensions: Differences = {
  rename: { 'posixRename replaces the destination': lacks('posix-rename@openssh.com') },
  'hardlink and copy': {
    'hardlink gives a second name': lacks('hardlink@openssh.com'),
    'copy takes one name of a file for another': lacks('hardlink@openssh.com'),
  },
  'the file system': {
    'statvfs tells what df prints': lacks('statvfs@openssh.com'),
    'expandPath and homeDirectory know ~': lacks('home-directory'),
  },
};

const denied = { why: 'the server refuses it', outcome: refused('EACCES') };
const deniedAnyway = {
  why: 'the server refuses before it looks for the file',
  outcome: otherCode('EACCES'),
};
const timeNotKept = {
  why: 'times are kept at best effort: the content is there',
  outcome: { code: 'ERR_ASSERTION', expected: 1_000_000_000 },
};

const taken = {
  why: 'the file is gone before its size can be confirmed, which has an error of its own',
  outcome: {
    name: 'TransferError',
    code: 'VANISHED',
    message: /another process may have moved or deleted it/,
  },
};

const noRealpath = (code: string): Differences => {
  const nowhere = { why: 'only the server could tell', outcome: refused(code) };
  return {
    'symlink and readlink': {
      "readlink counts a relative target from the link's own directory": {
        why: 'what is above a directory that may be a link is left to the server',
        outcome: { code: 'ERR_ASSERTION', actual: /\/pub\/foo1\/\.\.\/\.\.\/readme\.txt$/ },
      },
    },
    'hardlink and copy': {
      'copy keeps a file that is copied onto itself over a link': {
        why: 'nobody can tell that it is the same file; it is kept, as the copy is made beside it',
        outcome: { code: 'ERR_ASSERTION', message: /^Missing expected rejection/ },
      },
    },
    'the file system': { 'expandPath and homeDirectory know ~': nowhere },
    'the current directory': {
      'pwd is the normal form of the current directory': {
        why: 'pwd is known on this side, and normalize only there',
        outcome: refused(code),
      },
      'getcwd is null until chdir has been called, and then the path': nowhere,
    },
    'stat, lstat, normalize': {
      'normalize gives the absolute path, links resolved': nowhere,
    },
    walktree: {
      'ends a loop of links with an error': {
        why: 'a loop is not seen as one, and ends at the greatest depth',
        outcome: otherCode('LIMIT'),
      },
    },
  };
};

const typeless: Differences = {
  'hardlink and copy': {
    'copy takes empty files, and refuses directories and what is not there': {
      why: 'the server opens a directory as a file, and says no more than that reading it fails',
      outcome: otherCode('FAILURE'),
    },
  },
};

const withSizes = (size: 0 | undefined): Differences => {
  const told = { why: 'the server does not tell the size', outcome: found(size) };
  return {
    'symlink and readlink': { 'symlink makes a link at the destination to the source': told },
    'hardlink and copy': {
      'copy copies, replaces, and tells how far it is': {
        why: 'the server copies by itself, and does not tell how much',
        outcome: found([0, 0]),
      },
    },
    listdir: {
      'listdir_attr is sorted by filename, without . and .., with a longname': {
        why: 'the server does not tell the size',
        outcome: { code: 'ERR_ASSERTION', actual: /^-rw-r--r-- .* 0 .* readme\.txt$/ },
      },
    },
    'stat, lstat, normalize': {
      'stat gives the attributes, of a link those of its target': told,
      'lstat gives those of the link itself': told,
    },
    put: { 'copies a local file to the remote path and gives its attributes': told },
    walk: { 'gives entries with path, attributes and depth, sorted': told },
  };
};

/** By oddity, suite and test. */
const differences: { readonly [O in OddityName]?: Differences } = {
  'knows no extension at all': noExtensions,
  'has Windows paths': noExtensions,
  'has no posix-rename': {
    rename: { 'posixRename replaces the destination': lacks('posix-rename@openssh.com') },
  },
  'refuses FSETSTAT': {
    chmod: {
      'takes the mode as on a command line': denied,
      'sets 777 unless told otherwise': denied,
      "rejects if the file doesn't exist": deniedAnyway,
    },
    chown: { "rejects if the file doesn't exist": deniedAnyway },
    truncate: {
      'changes the size, confirms it and returns it': denied,
      "rejects if the file doesn't exist": deniedAnyway,
    },
    'utime and touch': {
      'utime sets both times': denied,
      'utime without times, and touch, mean now': denied,
      'touch makes an empty file, and takes a directory too': denied,
    },
    put: { 'preserve_mtime makes the modification times match': timeNotKept },
    put_r: {
      'copies the content recursively, and happily if directories exist': {
        ...timeNotKept,
        outcome: { code: 'ERR_ASSERTION', expected: 1_000_000_000_000 },
      },
    },
  },
  'takes files away after CLOSE': {
    put: {
      'copies a local file to the remote path and gives its attributes': taken,
      'without a remote path uses the remote current directory and the filename': taken,
      'calls back with the bytes so far and the total': taken,
      'preserve_mtime makes the modification times match': taken,
    },
    put_d: { 'copies the files of a local directory, without its sub-directories': taken },
    put_r: {
      'copies the content recursively, and happily if directories exist': taken,
      'makes the remote root where it is missing': taken,
      'skips links unless told to follow them': taken,
    },
  },
  'has no realpath': {
    ...noRealpath('ENOTSUP'),
    'stat, lstat, normalize': {
      ...noRealpath('ENOTSUP')['stat, lstat, normalize'],
      "normalize rejects if the path can't be resolved": {
        why: 'the server refuses before it looks for the file',
        outcome: otherCode('ENOTSUP'),
      },
    },
  },
  'finds nothing by realpath': noRealpath('ENOENT'),
  'says that every size is 0': {
    ...withSizes(0),
    truncate: {
      'changes the size, confirms it and returns it': {
        why: 'the server says that it is 0 bytes',
        outcome: found(0),
      },
    },
  },
  'tells no size': withSizes(undefined),
  'tells no type in the mode': typeless,
  'has long names of another form': typeless,
  'has several workers': {
    'the file system': { 'expandPath and homeDirectory know ~': lacks('home-directory') },
  },
  'tells no longname': {
    listdir: {
      'listdir_attr is sorted by filename, without . and .., with a longname': {
        why: 'there is none',
        outcome: found(false),
      },
    },
  },
};

export function differencesOf(oddity: OddityName, suite: string): Readonly<Record<string, Difference>> {
  return differences[oddity]?.[suite] ?? {};
}

/** All of them, as oddity, suite and test. */
export function listDifferences(): (readonly [oddity: string, suite: string, test: string])[] {
  return Object.entries(differences).flatMap(([oddity, suites]) =>
    Object.entries(suites).flatMap(([suite, tests]) =>
      Object.keys(tests).map((test) => [oddity, suite, test] as const),
    ),
  );
}
