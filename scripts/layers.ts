// What each folder of src/ may import: layers.json is the table. From it come the linter's rules in biome.json and the
// table in docs/architecture.md: `npm run layers` writes both, and a test compares them.
import { readFileSync, writeFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const MARKS = ['<!-- layers: npm run layers -->', '<!-- /layers -->'] as const;

export interface Layer {
  /** A folder, or a file beside the folders. */
  readonly where: string;
  readonly knows: string;
  readonly imports: readonly string[];
  readonly packages: readonly string[];
}

interface Override {
  readonly includes?: readonly string[];
  readonly linter?: { readonly rules?: { readonly style?: { readonly noRestrictedImports?: unknown } } };
}

export function readLayers(): readonly Layer[] {
  return JSON.parse(readFileSync(new URL('layers.json', import.meta.url), 'utf8'));
}

function isFile(where: string): boolean {
  return where.endsWith('.ts');
}

/** An entry of `imports` as the linter sees it: `wire/` is a folder's files, `wire/attributes` one file. */
function pattern(where: string, entry: string): string {
  const from = isFile(where) ? posix.dirname(where) : where;
  const path = posix.relative(from, `src/${entry.endsWith('/') ? `${entry}*` : entry}.js`);
  return `!${path.startsWith('.') ? path : `./${path}`}`;
}

/** One of biome's `overrides`. */
function toRule({ where, knows, imports, packages }: Layer): Override {
  const own = isFile(where) ? [] : ['!./*.js'];
  const allowed = packages.flatMap((name) => (name === 'node:*' ? ['node:*', 'node:*/*'] : [name]));
  const group = [
    '**',
    ...own,
    ...imports.map((entry) => pattern(where, entry)),
    ...allowed.map((name) => `!${name}`),
  ];
  const options = { patterns: [{ group, message: `${where}: ${knows}. See scripts/layers.json.` }] };
  const style = { noRestrictedImports: { level: 'error', options } };
  return { includes: [isFile(where) ? where : `${where}/*.ts`], linter: { rules: { style } } };
}

function isLayerRule({ linter }: Override): boolean {
  return linter?.rules?.style?.noRestrictedImports !== undefined;
}

/** What biome.json says, with the rules of the table in place of those that it has. */
export function withRules(text: string): object {
  const config = JSON.parse(text) as { readonly overrides: readonly Override[] };
  const others = config.overrides.filter((rule) => !isLayerRule(rule));
  return { ...config, overrides: [...readLayers().map(toRule), ...others] };
}

/** The text of docs/architecture.md with the table between its marks. */
export function withTable(text: string): string {
  const rows = readLayers().map(({ where, knows, imports, packages }) => {
    const may = imports.map((entry) => `\`${entry}\``).join(', ');
    return `| \`${where.slice('src/'.length)}${isFile(where) ? '' : '/'}\` | ${knows} | ${may} | ${packages.join(', ')} |`;
  });
  const table = ['| where | knows | may import from `src/` | packages |', '|---|---|---|---|', ...rows].join(
    '\n',
  );
  const [begin = -1, end = -1] = MARKS.map((mark) => text.indexOf(mark));
  if (begin < 0 || end < begin)
    throw new Error(`docs/architecture.md lacks the marks ${MARKS.join(' and ')}`);
  return `${text.slice(0, begin)}${MARKS[0]}\n\n${table}\n\n${text.slice(end)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const write = (file: string, change: (text: string) => string) =>
    writeFileSync(file, change(readFileSync(file, 'utf8')));
  write('biome.json', (text) => `${JSON.stringify(withRules(text), null, 2)}\n`);
  write('docs/architecture.md', withTable);
}
