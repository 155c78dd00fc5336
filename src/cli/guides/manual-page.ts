/** The manual page, made from the table of commands. */
import { COMMANDS } from '../commands/table.js';
import { CONNECTION_OPTIONS, OUTPUT_OPTIONS } from '../options/global-options.js';
import type { OptionSpec } from '../options/option-table.js';
import { EXIT_CODES } from '../output/exit-codes.js';
import { SESSION_OPTIONS, usageOf } from '../program.js';

/** In the form that man(1) reads. */
export function manualPage(): string {
  const commands = COMMANDS.filter(({ isHidden }) => isHidden !== true);
  return [
    '.TH TSFTP 1 "" "tsftp" "User Commands"',
    '.SH NAME',
    'tsftp \\- transfer files over SFTP',
    '.SH SYNOPSIS',
    '.B tsftp',
    '[\\fIoptions\\fR] \\fICOMMAND\\fR \\fIARGUMENTS\\fR',
    '.br',
    '.B tsftp',
    '[\\fIoptions\\fR] [\\fB\\-b\\fR \\fIFILE\\fR] \\fIHOST\\fR[:\\fIPATH\\fR] [\\fILOCAL\\fR]',
    '.SH DESCRIPTION',
    paragraph(
      'tsftp transfers files over SFTP: single files, directories and mirrors. Without a command it opens a shell, or runs the commands of a batch file, as sftp does.',
    ),
    '.SS Addresses',
    paragraph(
      'HOST:PATH, USER@HOST:PATH, [IPv6]:PATH and sftp://USER@HOST:PORT/PATH. HOST may be an alias of ssh_config(5). A relative path counts from the directory in which the login begins; in a URL the path is absolute, and /~/ stands for that directory.',
    ),
    '.SH CONNECTION OPTIONS',
    ...CONNECTION_OPTIONS.flatMap(optionLines),
    '.SH OUTPUT OPTIONS',
    ...OUTPUT_OPTIONS.flatMap(optionLines),
    '.SH SESSION OPTIONS',
    ...SESSION_OPTIONS.flatMap(optionLines),
    '.SH COMMANDS',
    ...commands.flatMap((spec) => [
      `.SS ${roff(`${spec.name} ${usageOf(spec)}`)}`,
      paragraph([`${spec.text[0]?.toUpperCase()}${spec.text.slice(1)}.`, ...(spec.more ?? [])].join(' ')),
      ...spec.options.flatMap(optionLines),
      ...spec.examples.flatMap(([line, what]) => [
        '.PP',
        `${roff(what)}:`,
        '.nf',
        `.RS 4\n${roff(line)}\n.RE`,
        '.fi',
      ]),
    ]),
    '.SH EXIT STATUS',
    ...EXIT_CODES.flatMap(([code, when]) => ['.TP', `.B ${code}`, roff(when.replaceAll('`', ''))]),
    '.SH ENVIRONMENT',
    ...[
      ['TSFTP_PASSWORD', 'The password. --password-file and --password-stdin win over it.'],
      ['SSH_AUTH_SOCK', 'The socket of the SSH agent.'],
      ['NO_COLOR', 'If it is set, nothing is coloured.'],
    ].flatMap(([name = '', what = '']) => ['.TP', `.B ${roff(name)}`, roff(what)]),
    '.SH SEE ALSO',
    '.BR sftp (1),',
    '.BR ssh_config (5)',
    '',
  ].join('\n');
}

function optionLines({ flags, text, isHidden, choices }: OptionSpec): readonly string[] {
  if (isHidden === true) return [];
  const more = choices === undefined ? '' : `: ${choices.join(', ')}`;
  return ['.TP', `.B ${roff(flags)}`, roff(`${text}${more}`)];
}

function paragraph(text: string): string {
  return roff(text);
}

/** What roff would take for a command or a hyphen. */
function roff(text: string): string {
  return text
    .replaceAll('…', '...')
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');
}
