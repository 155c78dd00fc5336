/** A program that carries out a step: it prints `ready`, waits for a line, and prints `moving` and then its outcome. */
import { once } from 'node:events';
import { connect } from '../../src/index.js';
import { type ExecuteStepOptions, executeStep, type Step } from '../../src/jobs/index.js';

interface StepTask {
  readonly port: number;
  readonly username: string;
  readonly password: string;
  readonly fingerprint: string;
  readonly bytesPerSecond: number;
  readonly step: Step;
  readonly options: Omit<ExecuteStepOptions, 'callback' | 'signal'>;
}

const { port, username, password, fingerprint, bytesPerSecond, step, options } = JSON.parse(
  process.argv[2] ?? '',
) as StepTask;
const sftp = await connect('127.0.0.1', { port, username, password, fingerprint, bytesPerSecond });
process.stdout.write('ready\n');
await once(process.stdin, 'data');
let hasMoved = false;
const callback = () => {
  if (!hasMoved) process.stdout.write('moving\n');
  hasMoved = true;
};
const outcome = await executeStep(sftp, step, { ...options, callback }).then(
  (result) => result.outcome,
  (error: NodeJS.ErrnoException) => error.code ?? String(error),
);
process.stdout.write(`${outcome}\n`);
await sftp.close();
process.exit();
