/** The advice in messages of the library is about its options; here it is about the command line. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/give password or privateKey, or start/g, 'give -i FILE or --password-file FILE, or start'],
  [/Give a password or a privateKey, or load/g, 'Give -i FILE or --password-file FILE, or load'],
  [/Give a privateKey, or load/g, 'Give -i FILE, or load'],
  [/Give the one privateKey that fits/g, 'Give the one key that fits with -i FILE'],
  [/give its passphrase as privateKeyPass/g, 'run it on a terminal to be asked for the passphrase'],
  [/use transport: '(ssh2|openssh)'/gi, 'use --transport $1'],
  [/Try transport: '(ssh2|openssh)'/g, 'Try --transport $1'],
  [/needs transport: '(ssh2|openssh)'/g, 'needs --transport $1'],
  [/accept them with algorithms: 'legacy'/g, 'accept them with --legacy'],
  [/give the option username/g, 'write USER@HOST'],
  [/set atomic: false/g, 'give --in-place'],
  [/or give onPrompt/g, 'or run this on a terminal'],
  [/; makedirs takes what is there/g, '; mkdir -p takes what is there'],
  [/; rmtree removes a directory with its content/g, '; rm -r removes a directory with its content'],
  [/Set confirm: false if this is expected/g, 'Look who takes it away'],
  [/maxDelete allows/g, '--max-delete allows'],
  [/; dryRun shows all of them/g, '; --dry-run shows all of them'],
  [/open fewer files at once: `?concurrency`?/g, 'open fewer files at once: -j 1'],
];

export function inCommandLineWords(text: string): string {
  return WORDS.reduce((all, [words, better]) => all.replace(words, better), text);
}
