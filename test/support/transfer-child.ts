/** A program that transfers, to be ended from outside: it prints `moving` when the first bytes have moved. */
import { connect } from '../../src/index.js';

interface Task {
  readonly port: number;
  readonly username: string;
  readonly password: string;
  readonly fingerprint: string;
  readonly kind: 'get' | 'put' | 'getR' | 'putR';
  readonly local: string;
  readonly remote: string;
  readonly bytesPerSecond?: number;
  /** Listens for SIGINT itself, and says so. */
  readonly listens?: boolean;
}

const task = JSON.parse(process.argv[2] ?? '') as Task;
const { port, username, password, fingerprint, kind, local, remote, bytesPerSecond } = task;
if (task.listens) process.on('SIGINT', () => process.stdout.write('heard\n'));
const sftp = await connect('127.0.0.1', {
  port,
  username,
  password,
  cnopts: { fingerprint, hostkeys: null, agent: false },
  bytesPerSecond,
});
let hasMoved = false;
const callback = () => {
  if (!hasMoved) process.stdout.write('moving\n');
  hasMoved = true;
};
const atomic = true;
if (kind === 'get') await sftp.get(remote, local, { callback });
if (kind === 'put') await sftp.put(local, remote, { atomic, callback });
if (kind === 'getR') await sftp.cd(remote, async () => void (await sftp.getR('.', local, { callback })));
if (kind === 'putR') await sftp.putR(local, remote, { atomic, callback });
await sftp.close();
