// Reads coverage/lcov.info and tells how many of the branches of each part have been taken that a hostile server or a
// wrong key can reach. Fails where a part has less than 95 %. `--lines` lists the branches that were never taken.
import { readFileSync } from 'node:fs';

const LEAST_PERCENT = 95;
const groups = [
  { name: 'wire', paths: /^src\/wire\// },
  { name: 'session', paths: /^src\/session\// },
  {
    name: 'path safety',
    paths: /^src\/(shared\/(remote-path|local-path)|transfer\/(local\/.*|tree\/entry-names))\.ts$/,
  },
  { name: 'host keys', paths: /^src\/ssh\/host-keys\// },
];

/** By file: the branches, as [line, how often taken]. */
function readBranches(text) {
  const files = new Map();
  let branches = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('SF:')) {
      branches = [];
      files.set(line.slice(3).replaceAll('\\', '/'), branches);
    } else if (line.startsWith('BRDA:')) {
      const [at, , , taken] = line.slice(5).split(',');
      branches.push([Number(at), taken === '-' ? 0 : Number(taken)]);
    }
  }
  return files;
}

const files = readBranches(readFileSync('coverage/lcov.info', 'utf8'));
const showsLines = process.argv.includes('--lines');
console.log('Branches:');
for (const { name, paths } of groups) {
  const own = [...files].filter(([path]) => paths.test(path));
  const all = own.flatMap(([, branches]) => branches);
  const missed = own.flatMap(([path, branches]) =>
    branches.filter(([, taken]) => taken === 0).map(([line]) => `${path}:${line}`),
  );
  const percent = all.length === 0 ? 0 : (100 * (all.length - missed.length)) / all.length;
  console.log(`  ${name}: ${percent.toFixed(1)} % of ${all.length}`);
  if (showsLines) for (const place of missed) console.log(`    ${place}`);
  if (percent < LEAST_PERCENT) {
    console.log(
      `    fewer than ${LEAST_PERCENT} %; node scripts/coverage-groups.mjs --lines tells which are missing`,
    );
    process.exitCode = 1;
  }
}
