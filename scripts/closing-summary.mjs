// A reporter for Node's test runner that has the last word: which suites were left out, why, and how to get
// them. A reason to skip that begins with "needs" names something that can be installed; under CI nothing may
// be left out for such a reason. A run in which no test ran at all is a failure.
const HOW =
  'To run them, on Debian or Ubuntu as root: apt-get install openssh-server openssh-client && npm test';
/** More than these are counted. */
const MAX_NAMES = 3;

// biome-ignore lint/style/noDefaultExport: the test runner asks for one.
export default async function* closingSummary(source) {
  const leftOut = new Map();
  let ran = 0;
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const { skip, todo } = data;
    if (typeof skip === 'string' && skip.startsWith('needs')) {
      leftOut.set(skip, [...(leftOut.get(skip) ?? []), data.name]);
    } else if (skip === undefined && todo === undefined && data.details.type !== 'suite') {
      ran += 1;
    }
  }
  if (ran === 0 && leftOut.size === 0) {
    process.exitCode = 1;
    yield '\nNo test ran.\n';
  }
  if (leftOut.size === 0) return;
  yield '\nLeft out on this machine:\n';
  for (const [reason, names] of leftOut) {
    const what = names.length > MAX_NAMES ? `${names.length} suites` : names.join(', ');
    yield `  ${what}: ${reason}\n`;
  }
  yield `${HOW}\n`;
  if (process.env.CI) {
    process.exitCode = 1;
    yield 'This counts as a failure, as CI is set.\n';
  }
}
