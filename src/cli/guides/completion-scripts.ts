/** Completion for bash, zsh and fish, made from the table of commands. */
import type { CommandSpec } from '../commands/command.js';
import { COMMANDS } from '../commands/table.js';
import { CONNECTION_OPTIONS, GLOBAL_OPTIONS } from '../options/global-options.js';
import { letterOf, type OptionSpec, valueNameOf } from '../options/option-table.js';
import { SESSION_OPTIONS } from '../program.js';

/** Each takes nothing and gives the script. */
export const COMPLETIONS: Readonly<Record<string, () => string>> = { bash, zsh, fish };

const SHOWN = COMMANDS.filter(({ isHidden }) => isHidden !== true);

function longOf({ flags }: OptionSpec): string {
  return /--[a-z\d-]+/.exec(flags)?.[0] ?? '';
}

function optionsOf(spec: CommandSpec | undefined): readonly OptionSpec[] {
  const own = spec === undefined ? SESSION_OPTIONS : spec.options;
  const names = new Set(own.map(longOf));
  return [...own, ...GLOBAL_OPTIONS.filter((option) => !names.has(longOf(option)))].filter(
    ({ isHidden }) => isHidden !== true,
  );
}

/** The hosts of the ssh configuration, each with a colon. */
const HOSTS = `awk 'tolower($1) == "host" { for (i = 2; i <= NF; i++) if ($i !~ /[*?!]/) print $i ":" }' ~/.ssh/config 2>/dev/null`;

/** Names on a server, by listing it; a connection that would ask something completes nothing. */
const remote = (given: string): string => `tsftp complete --batch --timeout 5s --retry 0 ${given} -- `;

/** What tells how a server is reached, and is passed on where it has been typed: with a value, or without one. */
const REACHING = {
  withValue: [
    'port',
    'identity',
    'jump',
    'config',
    'option',
    'transport',
    'fingerprint',
    'known-hosts',
    'password-file',
  ],
  plain: ['legacy'],
};
const REACHING_OPTIONS = CONNECTION_OPTIONS.filter((option) =>
  REACHING.withValue.includes(longOf(option).slice(2)),
);
/** As they are typed before their values: `-P`, `--port`. */
const REACHING_NAMES = REACHING_OPTIONS.flatMap((option) => {
  const letter = letterOf(option);
  return letter === undefined ? [longOf(option)] : [`-${letter}`, longOf(option)];
});
/** As they are typed with them, as patterns of a shell. */
const REACHING_WORDS = [
  ...REACHING_NAMES.map((name) => (name.startsWith('--') ? `${name}=*` : `${name}?*`)),
  ...REACHING.plain.map((name) => `--${name}`),
];

function bash(): string {
  const words = (options: readonly OptionSpec[]): string => options.map(longOf).join(' ');
  const cases = SHOWN.map(
    (spec) => `    ${[spec.name, ...(spec.aliases ?? [])].join('|')}) options='${words(optionsOf(spec))}' ;;`,
  );
  const files = [...GLOBAL_OPTIONS, ...SESSION_OPTIONS, ...SHOWN.flatMap(({ options }) => options)]
    .filter(({ isFile }) => isFile === true)
    .flatMap((option) => [
      longOf(option),
      ...(letterOf(option) === undefined ? [] : [`-${letterOf(option)}`]),
    ]);
  return `# bash completion for tsftp: source <(tsftp completion bash)
# What was typed stays as it is, in its quotes; only the rest of a name is added to it. bash takes a colon for the end of a
# word, so that its own words are of no use here.
_tsftp() {
  local line=\${COMP_LINE:0:COMP_POINT} part=$2 quote='' typed='' words=() character index
  for ((index = 0; index < \${#line}; index++)); do
    character=\${line:index:1}
    if [[ $quote == "'" && $character != "'" ]]; then typed+=$character
    elif [[ $character == "\\\\" ]]; then ((index++)); typed+=\${line:index:1}
    elif [[ -n $quote ]]; then
      if [[ $character == "$quote" ]]; then quote=''; else typed+=$character; fi
    elif [[ $character == ["\\"'"] ]]; then quote=$character
    elif [[ $character == [[:space:]] ]]; then
      [[ -n $typed ]] && words+=("$typed")
      typed=''
    else typed+=$character
    fi
  done
  local command='' word options previous='' given=()
  for word in "\${words[@]:1}"; do
    case $previous in ${REACHING_NAMES.join('|')}) given+=("$previous" "\${word/#\\~\\//$HOME/}") ;; esac
    case $word in ${REACHING_WORDS.join('|')}) given+=("$word") ;; esac
    previous=$word
    if [[ -z $command ]]; then
      case $word in ${SHOWN.map(({ name, aliases }) => [name, ...(aliases ?? [])].join('|')).join('|')}) command=$word ;; esac
    fi
  done
  COMPREPLY=()
  case $command in
${cases.join('\n')}
    completion) options='' ;;
    *) options='${words(optionsOf(undefined))}' ;;
  esac
  if [[ $typed == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$typed"))
    return
  fi
  if [[ $command == completion ]]; then
    COMPREPLY=($(compgen -W 'bash zsh fish' -- "$typed"))
    return
  fi
  local IFS=$'\\n' names=()
  case $previous in
    ${[...new Set(files)].join('|')}) mapfile -t names < <(compgen -f -- "$typed") ;;
    *)
      if [[ $typed == *:* ]]; then
        mapfile -t names < <(${remote(`"\${given[@]}"`)}"$typed" 2>/dev/null)
      else
        mapfile -t names < <(
          compgen -W "$(${HOSTS})" -- "$typed"
          if [[ -n $command ]]; then compgen -f -- "$typed"
          else compgen -W $'${SHOWN.map(({ name }) => name).join('\\n')}' -- "$typed"; fi
        )
      fi ;;
  esac
  [[ \${#names[@]} -eq 0 && $typed != *:* ]] && compopt -o default
  compopt -o nospace
  local name rest
  for name in "\${names[@]}"; do
    [[ $name != *[:/] && -d \${name/#\\~\\//$HOME/} && $typed != *:* ]] && name+=/
    rest=\${name:\${#typed}}
    case $quote in
      "'") rest=\${rest//\\'/\\'\\\\\\'\\'} ;;
      '"') rest=$(sed 's/[\\\\"$\`]/\\\\&/g' <<<"$rest") ;;
      *) [[ -n $rest ]] && printf -v rest %q "$rest" ;;
    esac
    # bash itself closes the quotes.
    [[ \${#names[@]} -eq 1 && -z $quote && $name != *[:/] ]] && rest+=' '
    COMPREPLY+=("$part$rest")
  done
}
complete -F _tsftp tsftp
`;
}

function zsh(): string {
  const quote = (text: string): string => text.replaceAll("'", "'\\''").replace(/[[\]:]/g, '\\$&');
  const option = (spec: OptionSpec): string => {
    const value = valueNameOf(spec);
    const action = spec.choices ? `(${spec.choices.join(' ')})` : spec.isFile ? '_files' : ' ';
    const end = value === undefined ? '' : `:${quote(value)}:${action}`;
    const letter = letterOf(spec);
    const names = letter === undefined ? [longOf(spec)] : [longOf(spec), `-${letter}`];
    return names.map((name) => `'*${name}[${quote(spec.text)}]${end}'`).join(' ');
  };
  const commands = SHOWN.map(({ name, text }) => `    '${name}:${quote(text)}'`).join('\n');
  const cases = SHOWN.map(
    (spec) =>
      `        ${[spec.name, ...(spec.aliases ?? [])].join('|')}) _arguments ${optionsOf(spec).map(option).join(' ')} '*:file:${spec.name === 'completion' ? '(bash zsh fish)' : '_tsftp_places'}' ;;`,
  );
  return `#compdef tsftp
# zsh completion for tsftp: tsftp completion zsh > "\${fpath[1]}/_tsftp"
_tsftp_places() {
  if [[ $PREFIX == *:* ]]; then
    local -a names given
    local word previous=''
    for word in "\${_tsftp_words[@]}"; do
      case $previous in ${REACHING_NAMES.join('|')}) given+=("$previous" "\${word/#\\~\\//$HOME/}") ;; esac
      case $word in ${REACHING_WORDS.join('|')}) given+=("$word") ;; esac
      previous=$word
    done
    names=("\${(@f)$(${remote(`"\${given[@]}"`)}"\${(Q)PREFIX}" 2>/dev/null)}")
    compadd -S '' -- "\${(@M)names:#*/}"
    compadd -- "\${(@)names:#(*/|)}"
  else
    local -a hosts
    hosts=("\${(@f)$(${HOSTS})}")
    compadd -S '' -- "\${hosts[@]}"
    _files
  fi
}
_tsftp() {
  local -a commands
  commands=(
${commands}
  )
  local context state line
  typeset -A opt_args
  # The words before the one that is completed, without their quotes.
  local -a _tsftp_words=("\${(@Q)words[2,CURRENT-1]}")
  _arguments -C -A '-*' ${optionsOf(undefined).map(option).join(' ')} '1: :->command' '*:: :->arguments'
  case $state in
    command) _describe command commands; _tsftp_places ;;
    arguments)
      case $line[1] in
${cases.join('\n')}
        *) _tsftp_places ;;
      esac ;;
  esac
}
if [[ $funcstack[1] == _tsftp ]]; then _tsftp "$@"; else compdef _tsftp tsftp; fi
`;
}

function fish(): string {
  const quote = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const option = (condition: string, spec: OptionSpec): string => {
    const letter = letterOf(spec);
    const parts = [
      `complete -c tsftp -n ${quote(condition)}`,
      ...(letter === undefined ? [] : [`-s ${letter}`]),
      `-l ${longOf(spec).slice(2)}`,
      ...(valueNameOf(spec) === undefined ? [] : ['-r']),
      ...(spec.choices === undefined ? [] : [`-f -a ${quote(spec.choices.join(' '))}`]),
      ...(spec.isFile === true ? ['-F'] : []),
      `-d ${quote(spec.text)}`,
    ];
    return parts.join(' ');
  };
  const names = SHOWN.flatMap(({ name, aliases }) => [name, ...(aliases ?? [])]).join(' ');
  const none = `not __fish_seen_subcommand_from ${names}`;
  const lines = [
    '# fish completion for tsftp: tsftp completion fish > ~/.config/fish/completions/tsftp.fish',
    '# The word that is completed, without its quotes, which may be open.',
    'function __tsftp_word',
    '  string unescape -- (commandline -ct)',
    'end',
    'function __tsftp_is_remote',
    `  string match -q '*:*' -- (__tsftp_word)`,
    'end',
    'function __tsftp_names',
    '  set -l given',
    "  set -l previous ''",
    '  for word in (commandline -opc)[2..]',
    '    switch $previous',
    `      case ${REACHING_NAMES.join(' ')}`,
    "        set -a given $previous (string replace -r '^~/' $HOME/ -- $word)",
    '    end',
    '    switch $word',
    `      case ${REACHING_WORDS.map((word) => `'${word}'`).join(' ')}`,
    '        set -a given $word',
    '    end',
    '    set previous $word',
    '  end',
    `  ${remote('$given')}(__tsftp_word) 2>/dev/null`,
    'end',
    'function __tsftp_hosts',
    `  ${HOSTS}`,
    'end',
    '# fish would complete what comes after a colon as a local file.',
    "complete -c tsftp -n __tsftp_is_remote -f -a '(__tsftp_names)'",
    "complete -c tsftp -n 'not __tsftp_is_remote' -a '(__tsftp_hosts)'",
    ...SHOWN.map(({ name, text }) => `complete -c tsftp -n ${quote(none)} -a ${name} -d ${quote(text)}`),
    ...optionsOf(undefined).map((spec) => option(none, spec)),
    ...SHOWN.flatMap((spec) =>
      optionsOf(spec).map((each) =>
        option(`__fish_seen_subcommand_from ${[spec.name, ...(spec.aliases ?? [])].join(' ')}`, each),
      ),
    ),
    "complete -c tsftp -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'",
  ];
  return `${lines.join('\n')}\n`;
}
