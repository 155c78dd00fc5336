/** Every command: the parser, help, completion, the manual and docs/command-line.md follow this table. */
import {
  FILTER_OPTIONS,
  IN_PLACE_OPTION,
  LIST_OPTIONS,
  NUL_OPTION,
  TIME_OPTION,
  TRANSFER_OPTIONS,
} from '../options/common-options.js';
import type { OptionSpec } from '../options/option-table.js';
import { parseCount } from '../output/human.js';
import type { CommandSpec, OperandSpec } from './command.js';

const remote = (name = 'remote'): OperandSpec => ({ name, side: 'remote' });
const remotes = (name = 'remote'): OperandSpec => ({ name, side: 'remote', isRepeated: true });
const local = (name = 'local'): OperandSpec => ({ name, side: 'local' });
const optional = (operand: OperandSpec): OperandSpec => ({ ...operand, isOptional: true });
const HUMAN: OptionSpec = { flags: '-h, --human', text: 'sizes as 1.5K, 2M' };
const RECURSIVE_ALIAS: OptionSpec = { flags: '-R, --recursive-too', text: 'the same as -r', isHidden: true };
const FORCE: OptionSpec = { flags: '-f, --force', text: 'what does not exist is no failure' };

const LISTING: readonly CommandSpec[] = [
  {
    name: 'ls',
    aliases: ['dir'],
    text: 'list a directory',
    operands: [optional(remotes())],
    options: [
      { flags: '-1, --one', text: 'one name a line, also on a terminal' },
      { flags: '-a, --all', text: 'names that begin with a dot too' },
      { flags: '-f, --unsorted', text: 'as the server lists them' },
      HUMAN,
      { flags: '-l, --long', text: 'with permissions, owner, size and time' },
      { flags: '-n, --numeric', text: 'as -l, with numbers of users and groups' },
      { flags: '-r, --reverse', text: 'in reverse order' },
      { flags: '-S, --by-size', text: 'largest first' },
      { flags: '-t, --by-time', text: 'latest first' },
      { flags: '-d, --directory', text: 'directories themselves, not their content' },
      NUL_OPTION,
    ],
    examples: [
      ['tsftp ls me@example.org:pub', 'the names in pub'],
      ["tsftp ls -lh 'example.org:logs/*.gz'", 'files that fit a pattern, with their sizes'],
    ],
    load: async () => (await import('./list.js')).runList,
  },
  {
    name: 'find',
    text: 'find files below a directory',
    operands: [remotes()],
    options: [
      { flags: '--name <pattern>', text: 'the name fits a pattern' },
      { flags: '--type <type>', text: 'f: files, d: directories, l: links', choices: ['f', 'd', 'l'] },
      { flags: '--max-depth <n>', text: 'so many levels down', parse: (text) => parseCount(text) },
      ...FILTER_OPTIONS,
      { flags: '-l, --long', text: 'with permissions, owner, size and time' },
      NUL_OPTION,
    ],
    examples: [
      [
        "tsftp find example.org:/srv --name '*.log' --older-than 30d",
        'logs that have not changed for a month',
      ],
      [
        'tsftp find -0 example.org:in --type f | tsftp rm --files-from - -0 example.org:',
        'remove what was found',
      ],
    ],
    load: async () => (await import('./find.js')).runFind,
  },
  {
    name: 'tree',
    text: 'show a directory as a tree',
    operands: [optional(remotes())],
    options: [
      { flags: '-L, --levels <n>', text: 'so many levels', parse: (text) => parseCount(text) },
      { flags: '-a, --all', text: 'names that begin with a dot too' },
    ],
    examples: [['tsftp tree -L 2 example.org:/var/www', 'two levels']],
    load: async () => (await import('./find.js')).runTree,
  },
  {
    name: 'stat',
    text: 'show everything about files',
    operands: [remotes()],
    options: [{ flags: '-L, --follow', text: 'what a link leads to' }, ...LIST_OPTIONS, NUL_OPTION],
    examples: [['tsftp stat --json example.org:report.csv', 'for a program']],
    load: async () => (await import('./look.js')).runStat,
  },
  {
    name: 'cat',
    text: 'write the content of files to standard output',
    operands: [remotes()],
    options: [...LIST_OPTIONS, NUL_OPTION],
    examples: [['tsftp cat example.org:log.gz | zcat | less', 'read a compressed log']],
    load: async () => (await import('./look.js')).runCat,
  },
  {
    name: 'df',
    text: 'show the free space of a file system',
    operands: [optional(remotes())],
    options: [HUMAN, { flags: '-i, --inodes', text: 'how many files there can be' }],
    examples: [['tsftp df -h example.org:', 'of the directory in which the login begins']],
    load: async () => (await import('./look.js')).runDf,
  },
  {
    name: 'du',
    text: 'show how much directories hold',
    operands: [optional(remotes())],
    options: [
      HUMAN,
      { flags: '-s, --summarize', text: 'only the sum of each argument' },
      { flags: '-a, --all', text: 'files too' },
    ],
    examples: [["tsftp du -sh 'example.org:/home/*'", 'who needs most']],
    load: async () => (await import('./find.js')).runDu,
  },
];

const TRANSFERS: readonly CommandSpec[] = [
  {
    name: 'get',
    aliases: ['mget'],
    text: 'download files',
    more: [
      'A file is replaced once all of it has arrived. - as target is standard output.',
      'With --files-from, names count from the directory given, and keep their directories.',
    ],
    operands: [remotes(), optional(local())],
    options: [...TRANSFER_OPTIONS, RECURSIVE_ALIAS, ...LIST_OPTIONS, NUL_OPTION],
    examples: [
      ['tsftp get me@example.org:report.csv', 'into the current directory'],
      ["tsftp get 'example.org:logs/*.gz' logs/", 'all that fit a pattern'],
      ['tsftp get -r -p example.org:/var/www backup', 'a directory, with its times and permissions'],
      ['tsftp get --resume example.org:dump.tar', 'go on with what was interrupted'],
      ['tsftp get example.org:dump.tar - | tar x', 'as a stream'],
    ],
    load: async () => (await import('./get.js')).runGet,
  },
  {
    name: 'put',
    aliases: ['mput'],
    text: 'upload files',
    more: ['A file that exists is replaced once all of it has arrived. - as source is standard input.'],
    operands: [{ ...local(), isRepeated: true }, optional(remote())],
    options: [...TRANSFER_OPTIONS, RECURSIVE_ALIAS, ...LIST_OPTIONS, NUL_OPTION],
    examples: [
      ['tsftp put report.csv me@example.org:in/', 'into a directory'],
      ['tsftp put -r site example.org:/var/www', 'a directory'],
      ['tar c site | tsftp put - example.org:site.tar', 'a stream'],
    ],
    load: async () => (await import('./put.js')).runPut,
  },
  {
    name: 'cp',
    aliases: ['copy'],
    text: 'copy on a server, between servers, or to and from this computer',
    operands: [
      { name: 'source', side: 'any', isRepeated: true },
      { name: 'target', side: 'any' },
    ],
    options: [...TRANSFER_OPTIONS],
    examples: [
      ['tsftp cp example.org:a.txt example.org:b.txt', 'on the server, where it can do that'],
      ['tsftp cp -r sftp://old.example.org/srv sftp://new.example.org/srv', 'from one server to another'],
    ],
    load: async () => (await import('./copy.js')).runCopy,
  },
  {
    name: 'mirror',
    text: 'make a directory like another, up or down',
    more: [
      'Only what is missing or has changed is copied. Nothing is removed without --delete, which asks on a terminal and needs --yes elsewhere.',
    ],
    operands: [
      { name: 'source', side: 'any' },
      { name: 'target', side: 'any' },
    ],
    options: [
      { flags: '--delete', text: 'remove what the source does not have' },
      {
        flags: '--max-delete <n>',
        text: 'do nothing if more than so many would be removed',
        parse: (text) => parseCount(text, 0),
      },
      { flags: '-n, --dry-run', text: 'show what would be done, and why' },
      { flags: '-y, --yes', text: 'remove without asking' },
      { flags: '--checksum', text: 'compare content' },
      { flags: '--size-only', text: 'compare sizes, and no times' },
      ...FILTER_OPTIONS,
      { flags: '--links <how>', text: 'symbolic links (skip)', choices: ['skip', 'follow', 'copy'] },
      { flags: '-p, --preserve', text: 'keep permissions too' },
      IN_PLACE_OPTION,
      { flags: '-j, --jobs <n>', text: 'files at once', parse: (text) => parseCount(text) },
      { flags: '-U, --up', text: 'in the shell: from this computer to the server', isHidden: true },
    ],
    examples: [
      ['tsftp mirror example.org:/var/www backup', 'download'],
      ['tsftp mirror site example.org:/var/www --delete --dry-run', 'what would be done'],
      ['tsftp mirror site example.org:/var/www --delete --yes --max-delete 100', 'in a script'],
      ["tsftp mirror --exclude '*.tmp' --max-size 1G example.org:data data", 'without some'],
    ],
    load: async () => (await import('./mirror.js')).runMirror,
  },
  {
    name: 'check',
    text: 'compare two directories or files',
    more: [
      'Lines begin with = for what is the same, + for what only the source has, - for what only the target has, and * for what differs. The exit code is 11 if anything differs.',
    ],
    operands: [
      { name: 'source', side: 'any' },
      { name: 'target', side: 'any' },
    ],
    options: [
      { flags: '--checksum', text: 'compare content' },
      { flags: '--size-only', text: 'compare sizes, and no times' },
      ...FILTER_OPTIONS,
      { flags: '--differences', text: 'no lines for what is the same' },
      NUL_OPTION,
    ],
    examples: [['tsftp check --checksum site example.org:/var/www', 'is all of it there?']],
    load: async () => (await import('./check.js')).runCheck,
  },
];

const CHANGES: readonly CommandSpec[] = [
  {
    name: 'rm',
    text: 'remove files',
    operands: [remotes()],
    options: [
      { flags: '-r, --recursive', text: 'directories with everything below them' },
      FORCE,
      ...LIST_OPTIONS,
      NUL_OPTION,
    ],
    examples: [["tsftp rm 'example.org:in/*.tmp'", 'all that fit a pattern']],
    load: async () => (await import('./change.js')).runRm,
  },
  {
    name: 'mv',
    text: 'rename or move on a server; a file that exists is replaced',
    operands: [remotes('source'), remote('target')],
    options: [{ flags: '-n, --no-clobber', text: 'replace nothing' }],
    examples: [['tsftp mv example.org:a.txt example.org:archive/', 'into a directory']],
    load: async () => (await import('./change.js')).runMv,
  },
  {
    name: 'mkdir',
    text: 'make directories',
    operands: [remotes()],
    options: [
      { flags: '-p, --parents', text: 'those above too; what exists is no failure' },
      { flags: '-m, --mode <mode>', text: 'permissions, as 755' },
    ],
    examples: [['tsftp mkdir -p example.org:in/2026/05', 'with those above']],
    load: async () => (await import('./change.js')).runMkdir,
  },
  {
    name: 'rmdir',
    text: 'remove empty directories',
    operands: [remotes()],
    options: [],
    examples: [['tsftp rmdir example.org:in/2025', 'only if it is empty']],
    load: async () => (await import('./change.js')).runRmdir,
  },
  {
    name: 'ln',
    text: 'make a link on a server',
    more: ['The first argument is what the link holds: an address of the same server, or a path as it is.'],
    operands: [
      { name: 'target', side: 'text' },
      { name: 'link', side: 'remote' },
    ],
    options: [
      { flags: '-s, --symbolic', text: 'a symbolic link' },
      { flags: '-f, --force', text: 'replace a link that exists' },
    ],
    examples: [['tsftp ln -s releases/42 example.org:current', 'a symbolic link']],
    load: async () => (await import('./change.js')).runLn,
  },
  {
    name: 'chmod',
    text: 'change permissions',
    operands: [{ name: 'mode', side: 'text' }, remotes()],
    options: [{ flags: '-R, --recursive', text: 'with everything below' }, ...LIST_OPTIONS, NUL_OPTION],
    examples: [
      ['tsftp chmod 640 example.org:secret.txt', 'in octal digits'],
      ['tsftp chmod u+x example.org:run.sh', 'one bit more'],
    ],
    load: async () => (await import('./permissions.js')).runChmod,
  },
  {
    name: 'chown',
    text: 'change owner and group, by their numbers on the server',
    operands: [{ name: 'user[:group]', side: 'text' }, remotes()],
    options: [{ flags: '-R, --recursive', text: 'with everything below' }, ...LIST_OPTIONS, NUL_OPTION],
    examples: [['tsftp chown 1000:100 example.org:in', 'numbers, as SFTP knows no names']],
    load: async () => (await import('./permissions.js')).runChown,
  },
  {
    name: 'touch',
    text: 'set times to now, and make files that are missing',
    operands: [remotes()],
    options: [...LIST_OPTIONS, NUL_OPTION],
    examples: [['tsftp touch example.org:done', 'an empty file']],
    load: async () => (await import('./change.js')).runTouch,
  },
];

const WAITING: readonly CommandSpec[] = [
  {
    name: 'wait',
    text: 'wait for a file',
    more: ['Writes the path of the first file that fits, when nothing is written to it any more.'],
    operands: [remote('pattern')],
    options: [
      TIME_OPTION('--stable <time>', 'nothing must have been written for so long (2s)'),
      TIME_OPTION('--interval <time>', 'time between two looks (1s)'),
      TIME_OPTION('--wait-for <time>', 'give up after so long, with exit code 5'),
      NUL_OPTION,
    ],
    examples: [["tsftp wait 'example.org:in/*.csv' --wait-for 10m", 'at most ten minutes']],
    load: async () => (await import('./waiting.js')).runWait,
  },
  {
    name: 'watch',
    text: 'tell what is created, changed and removed in a directory',
    operands: [remote()],
    options: [
      { flags: '-r, --recursive', text: 'everything below too' },
      { flags: '--initial', text: 'what is there at first too' },
      TIME_OPTION('--stable <time>', 'files only when nothing has been written for so long'),
      TIME_OPTION('--interval <time>', 'time between two looks (1s)'),
      NUL_OPTION,
    ],
    examples: [['tsftp watch --json example.org:in', 'for a program']],
    load: async () => (await import('./waiting.js')).runWatch,
  },
  {
    name: 'exec',
    text: 'run a command on the server',
    more: ['The exit code is that of the command, as for ssh; what tsftp cannot do has its own codes.'],
    operands: [remote('server'), { name: 'command', side: 'text', isRepeated: true }],
    options: [{ flags: '--stdin', text: 'give standard input to the command' }],
    examples: [["tsftp exec example.org: 'sha256sum dump.tar'", 'compute on the server']],
    load: async () => (await import('./waiting.js')).runExec,
  },
];

const OTHERS: readonly CommandSpec[] = [
  {
    name: 'completion',
    text: 'write the completion for a shell',
    operands: [{ name: 'bash|zsh|fish', side: 'text' }],
    options: [],
    examples: [
      ['source <(tsftp completion bash)', 'in ~/.bashrc'],
      ['tsftp completion fish > ~/.config/fish/completions/tsftp.fish', 'for fish'],
    ],
  },
  {
    name: 'demo',
    text: 'send files to a server and back, and compare every byte',
    operands: [{ name: 'arguments', side: 'text', isOptional: true, isRepeated: true }],
    options: [],
    examples: [['tsftp demo', 'with a server of its own']],
  },
  {
    name: 'complete',
    text: 'what the completion of a shell asks for',
    operands: [{ name: 'address', side: 'text' }],
    options: [],
    examples: [],
    isHidden: true,
    load: async () => (await import('./list.js')).runComplete,
  },
  {
    name: 'manual',
    text: 'write the manual page, in the form that man reads',
    operands: [],
    options: [],
    examples: [],
    isHidden: true,
  },
];

export const COMMANDS: readonly CommandSpec[] = [...LISTING, ...TRANSFERS, ...CHANGES, ...WAITING, ...OTHERS];

/** A command by its name or one of its other names. */
export function findCommand(name: string): CommandSpec | undefined {
  return COMMANDS.find((command) => command.name === name || command.aliases?.includes(name));
}
