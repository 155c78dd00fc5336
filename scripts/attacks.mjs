// The attacks of test/attacks alone; with `--minutes 10` those that depend on chance go on for so long, all together.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '0' } } });
const { status } = spawnSync(process.execPath, ['scripts/test.mjs', 'test/attacks/'], {
  stdio: 'inherit',
  env: { ...process.env, TSFTP_ATTACK_MINUTES: values.minutes },
});
process.exit(status ?? 1);
