/** Options that several commands share. */
import { parseCount, parseDuration, parseMoment, parseSize } from '../output/human.js';
import { ruleParser } from './filter-rules.js';
import type { OptionSpec } from './option-table.js';

/** Names of a list in place of names in the arguments. */
export const LIST_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--files-from <file>',
    text: 'read names from a file, one a line; -: from standard input',
    isFile: true,
  },
];

export const NUL_OPTION: OptionSpec = {
  flags: '-0, --null',
  text: 'names end with NUL, in what is read and in what is written',
};

export const IN_PLACE_OPTION: OptionSpec = {
  flags: '--in-place',
  text: 'write into the final name, instead of a temporary name that is renamed',
};

/** Of commands that transfer files. */
export const TRANSFER_OPTIONS: readonly OptionSpec[] = [
  { flags: '-r, --recursive', text: 'directories with everything below them' },
  { flags: '-p, --preserve', text: 'keep modification times and permissions' },
  {
    flags: '-a, --resume',
    text: 'resume where an interrupted transfer stopped, after proving what is there',
  },
  { flags: '-f, --fsync', text: 'wait until the content is on the disk' },
  IN_PLACE_OPTION,
  {
    flags: '--overwrite <when>',
    text: 'what to do with files that exist',
    choices: ['always', 'never', 'newer', 'different'],
  },
  {
    flags: '--links <how>',
    text: 'symbolic links in directories (skip)',
    choices: ['skip', 'follow', 'copy'],
  },
  { flags: '-j, --jobs <n>', text: 'files at once', parse: (text) => parseCount(text) },
];

/** Which entries count. The first rule that fits decides. */
export const FILTER_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--include <pattern>',
    text: 'take what fits; with no --exclude, nothing else',
    parse: ruleParser('include'),
  },
  { flags: '--exclude <pattern>', text: 'leave out what fits', parse: ruleParser('exclude') },
  {
    flags: '--exclude-from <file>',
    text: 'leave out what fits a pattern of a file, one a line',
    parse: ruleParser('file'),
    isFile: true,
  },
  ...['--newer-than <time>', '--older-than <time>'].map((flags) => ({
    flags,
    text: `only files changed ${flags.startsWith('--newer') ? 'after' : 'before'} a date, or so long ago: 2026-05-26, 7d`,
    parse: parseMoment,
  })),
  { flags: '--min-size <size>', text: 'only files of at least this size: 10M', parse: parseSize },
  { flags: '--max-size <size>', text: 'only files of at most this size: 10M', parse: parseSize },
];

export const TIME_OPTION = (flags: string, text: string): OptionSpec => ({
  flags,
  text,
  parse: parseDuration,
});
