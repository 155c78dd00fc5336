/** The table of the fault catalogue: each row is there once, and what it says is tested is. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const text = readFileSync('docs/security.md', 'utf8');
const CATALOGUE: Readonly<Record<string, readonly number[]>> = {
  P: upTo(24),
  N: upTo(11),
  T: upTo(17),
  H: [...upTo(13), 15],
  L: upTo(11),
  A: [1, 2, 4],
  X: upTo(22),
};

function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}

/** `H1–H3, H5` → its four. */
function idsOf(cell: string): readonly string[] {
  return cell.split(', ').flatMap((part) => {
    const [, letter = '', first, last = first] =
      /^([A-Z])(\d+)(?:–[A-Z](\d+))?$/.exec(part) ?? assert.fail(`'${part}' is no id`);
    return upTo(Number(last))
      .filter((number) => number >= Number(first))
      .map((number) => `${letter}${number}`);
  });
}

interface Row {
  readonly id: string;
  readonly files: readonly string[];
}

const rows: readonly Row[] = text
  .split('\n')
  .filter((line) => /^\| [A-Z]\d/.test(line))
  .flatMap((line) => {
    const cells = line.slice(2, -2).split(' | ');
    assert.equal(cells.length, 5, line);
    const files = (cells[4] ?? '').split(', ').map((name) => `test/${name}.test.ts`);
    return idsOf(cells[0] ?? '').map((id) => ({ id, files }));
  });

test('the table of faults has each of the catalogue once', () => {
  const expected = Object.entries(CATALOGUE).flatMap(([letter, numbers]) =>
    numbers.map((number) => `${letter}${number}`),
  );
  assert.deepEqual(rows.map(({ id }) => id).sort(), expected.sort());
});

test('each row names test files that are there, and in each a test has its id in its name', () => {
  for (const { id, files } of rows) {
    for (const file of files) {
      assert.ok(existsSync(file), `${id}: there is no ${file}`);
      // A string that begins with ids, this one among them.
      const name = new RegExp(`['"\`](?:[A-Z]\\d+(?:, | and ))*${id}\\b`);
      assert.match(readFileSync(file, 'utf8'), name, `${id}: no test in ${file} is called so`);
    }
  }
});
