/** What holds for the pages of the documentation together: links lead somewhere, and the table of options is that of the code. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { CNOPTS_FIELDS, JUMP_HOST_OPTIONS } from '../../../src/connect/cnopts-fields.js';
import { HOST_OPTIONS } from '../../../src/connect/options.js';

const docs = (await readdir('docs')).filter((name) => name.endsWith('.md')).map((name) => join('docs', name));
const paths = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...docs];
const pages = new Map(
  await Promise.all(paths.map(async (path) => [path, await readFile(path, 'utf8')] as const)),
);

/** Without code, in which brackets mean other things. */
function proseOf(text: string): string {
  return text.replaceAll(/^```.*?^```$/gms, '').replaceAll(/`[^`\n]*`/g, '`code`');
}

/** The anchors of headings, as GitHub and the site make them. */
function anchorsOf(text: string): ReadonlySet<string> {
  const headings = [...text.replaceAll(/^```.*?^```$/gms, '').matchAll(/^#+ (.*)$/gm)];
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
  return new Set(headings.map(([, heading = '']) => slug(heading)));
}

test('links in the documentation lead to files and headings that exist', () => {
  const broken = [...pages].flatMap(([path, text]) =>
    [...proseOf(text).matchAll(/\]\(([^)]+)\)/g)]
      .map(([, link = '']) => link)
      .filter((link) => !/^https?:/.test(link) && !leadsSomewhere(path, link))
      .map((link) => `${path}: ${link}`),
  );
  assert.deepEqual(broken, []);
});

function leadsSomewhere(from: string, link: string): boolean {
  const [file = '', anchor] = link.split('#');
  const path = file === '' ? from : join(dirname(from), file);
  const text = pages.get(path);
  if (text === undefined) return anchor === undefined && existsSync(path);
  return anchor === undefined || anchorsOf(text).has(anchor);
}

test('the table of the options of connect has every option once, and marks those of cnopts and of jump hosts', () => {
  const rows = (pages.get('docs/options.md') ?? '')
    .split('\n')
    .map((line) => /^\| `(\w+)` ?([*†]*) \|/.exec(line))
    .filter((match) => match !== null)
    .map(([, name = '', marks = '']) => ({ name, marks }));
  const markedWith = (mark: string) =>
    rows.filter(({ marks }) => marks.includes(mark)).map(({ name }) => name);
  assert.deepEqual(rows.map(({ name }) => name).sort(), Object.keys(HOST_OPTIONS).sort());
  assert.deepEqual(markedWith('*').sort(), Object.keys(JUMP_HOST_OPTIONS).sort());
  assert.deepEqual(markedWith('†').sort(), Object.keys(CNOPTS_FIELDS).sort());
});
