/** For a command that is misspelt. */
import { COMMANDS } from '../commands/table.js';

/** `; did you mean get?`, or nothing. */
export function nearestCommand(word: string): string {
  const [best] = COMMANDS.map(({ name }) => [name, distance(word, name)] as const).sort(
    ([, a], [, b]) => a - b,
  );
  return best !== undefined && best[1] <= 2 ? `; did you mean ${best[0]}?` : '';
}

/** How many letters must be changed. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replaced));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
