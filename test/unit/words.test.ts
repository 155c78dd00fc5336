/** Plain English that a reader can search for: the glossary of CONTRIBUTING.md, kept in messages and documents. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

/** Words that are not the field's, each with those that are. */
const GLOSSARY: readonly (readonly [RegExp, string])[] = [
  [/turns? of the line/i, 'round trip'],
  [/exchanges? of keys/i, 'key exchange, rekey'],
  [/signs? of life/i, 'keepalive messages'],
  [/connection(?: that)? is made again|made again/i, 'reconnect'],
  [/goes? on from where/i, 'resumes'],
  [/leads? nowhere/i, 'dangling symlink'],
  [/bears? little/i, 'cannot handle much'],
  [/cannot be meant/i, 'invalid'],
  [/did not let (?:me|\S+) in\b/i, 'Authentication failed'],
  [/somebody is in between/i, 'the connection is being intercepted (man-in-the-middle attack)'],
  [/ended before its end/i, 'closed the connection'],
  [/cannot be set up so/i, 'Invalid SSH options'],
  [/answered nonsense/i, 'sent an invalid reply'],
  [/does not read them/i, 'without reading the replies'],
  [/when it rests/i, 'once nothing is writing to it'],
  [/loop without end/i, 'an endless loop, a symbolic link loop'],
  [/which is not open\b/i, 'unknown request id'],
  [/lets nothing through/i, 'must be greater than 0'],
  [/is no number/i, 'must be a number'],
  [/is damaged\b/i, 'Cannot parse'],
  [/who is kept out/i, 'Threat model'],
  [/bad lines/i, 'Unreliable connections'],
  [/\bcook book/i, 'cookbook'],
  [/\bthe face\b/i, 'the public API'],
];

/** Told about pysftp's own documentation or a peer's words, or meant literally. */
const QUOTED: ReadonlySet<string> = new Set(['CHANGELOG.md', 'docs/upstream.md', 'CONTRIBUTING.md']);

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));
}

/** The lines that use a word that is not the field's. */
function linesAgainst(files: readonly string[], lineFilter: (line: string) => boolean): string[] {
  return files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line, index) => {
        if (!lineFilter(line)) return [];
        const found = GLOSSARY.find(([word]) => word.test(line));
        return found === undefined ? [] : [`${file}:${index + 1}: ${line.trim()} — write: ${found[1]}`];
      }),
  );
}

describe('The words of the project', () => {
  test('are the standard terms of the field in every line of the source', () => {
    assert.deepEqual(
      linesAgainst(filesBelow('src', '.ts'), () => true),
      [],
    );
  });

  test('are the standard terms of the field in README, guides and examples', () => {
    const guides = ['README.md', ...filesBelow('docs', '.md'), ...filesBelow('examples', '.ts')];
    const own = guides.filter((file) => !QUOTED.has(file.replaceAll('\\', '/')) && !file.includes('api'));
    assert.deepEqual(
      linesAgainst(own, () => true),
      [],
    );
  });

  test('begin with a capital letter in the messages of our errors, unless a request or a name comes first', () => {
    const errors =
      /new (?:Sftp|Ssh|Transfer|Connection|ConnectionLost|HostKeys|Credential|Authentication|Protocol|Unsupported)Error\(\s*(?:'[A-Z_]+',\s*)?['`](?!ssh )([a-z]+ [a-z]+ )/g;
    const small = filesBelow('src', '.ts').flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(errors)].map(([, words = '']) => `${file}: ${words}…`),
    );
    assert.deepEqual(small, []);
  });

  test('call no two exported types by one name, but for those of the package ssh2-sftp-client', () => {
    const names = filesBelow('src', '.ts')
      .filter((file) => !file.includes('ssh2-sftp-client'))
      .flatMap((file) => [
        ...readFileSync(file, 'utf8').matchAll(/^export (?:abstract )?(?:interface|type|class) (\w+)/gm),
      ])
      .map(([, name = '']) => name);
    assert.deepEqual(
      names.filter((name, index) => names.indexOf(name) !== index),
      [],
    );
  });
});
