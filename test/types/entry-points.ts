/**
 * Every entry point, with a call that is right and one that is not, and the types that go from one to another. It is never
 * run: it is compiled with every way in which TypeScript finds the declarations of a package.
 */
import { type Connection, connect, type FileAttributes, SftpError } from 'tsftp';
import { type RemoteFs, remoteFs } from 'tsftp/fs';
import { parseServer, type ScanResult, type ServerDescription, scan } from 'tsftp/jobs';
import Client, {
  type AlgorithmList,
  type AlgorithmNames,
  type Algorithms,
  type AuthMethod,
  type Callbacks,
  type ClientError,
  type ConnectOptions,
  type DirFilterFunction,
  type DirOptions,
  type DownloadDirOptions,
  type FastGetTransferOptions,
  type FastPutTransferOptions,
  type FileInfo,
  type FileInfoType,
  type FileStats,
  type HostVerifier,
  type KeyboardPrompt,
  type ListFilterFunction,
  type ModeOption,
  type PipeOptions,
  type ReadStreamOptions,
  type TransferEvent,
  type TransferOptions,
  type UploadDirOptions,
  type UploadSource,
  type WriteStreamOptions,
} from 'tsftp/ssh2-sftp-client';
import { terminalProgress } from 'tsftp/terminal';
import { startServer } from 'tsftp/testing';

/** Of a module in CommonJS the names come from the namespace of the class. */
export type Names = [
  AlgorithmList,
  AlgorithmNames,
  Algorithms,
  AuthMethod,
  Callbacks,
  ConnectOptions,
  DirFilterFunction,
  DirOptions,
  DownloadDirOptions,
  FastGetTransferOptions,
  FastPutTransferOptions,
  FileInfo,
  FileInfoType,
  FileStats,
  HostVerifier,
  KeyboardPrompt,
  ListFilterFunction,
  ModeOption,
  PipeOptions,
  ReadStreamOptions,
  TransferEvent,
  TransferOptions,
  UploadDirOptions,
  UploadSource,
  WriteStreamOptions,
];

export async function main(): Promise<void> {
  await using server = await startServer({ files: { 'a.txt': 'text' } });
  await using sftp: Connection = await connect(server.host, { port: server.port, username: server.username });
  const entries: FileAttributes[] = await sftp.listdirAttr('.');
  await sftp.get('a.txt', 'a.txt', { callback: terminalProgress({ label: entries[0]?.filename ?? '' }) });

  const fs: RemoteFs = remoteFs(sftp);
  const text: string = await fs.promises.readFile('a.txt', 'utf8');
  const description: ServerDescription = parseServer(text);
  const { pending }: ScanResult = await scan(sftp, '.');

  const client = new Client('name', { close: () => {} });
  const same: Connection = await client.connect({ host: server.host, hostVerifier: () => true });
  const files: Client.FileInfo[] = await client.list('.', ({ type }) => type === '-');
  const options: Client.ConnectOptions = { username: 'me' };
  const level = ({ code, custom, level }: ClientError) => [code, custom, level];
  console.log(description, pending, remoteFs(same), files, options, level, new SftpError('EIO', 'message'));

  // @ts-expect-error: a port is a number
  await connect('host', { port: '22' });
  // @ts-expect-error: it is not a connection
  remoteFs({});
  // @ts-expect-error: it takes a connection first
  await scan('.');
  // @ts-expect-error: a label is a string
  terminalProgress({ label: 5 });
  // @ts-expect-error: files are strings, bytes or descriptions
  await startServer({ files: { 'a.txt': 5 } });
  // @ts-expect-error: there is no such type of file
  files[0]?.type === 'x';
}
