// Streams a remote file into an upload over HTTP, as object stores such as S3 take it; nothing is kept on disk.
import { Readable } from 'node:stream';
import { connect } from 'tsftp';

await using sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
  fingerprint: process.env.SFTP_FINGERPRINT,
});
const { size } = await sftp.stat('reports/may.csv');
const response = await fetch(process.env.BUCKET_URL ?? 'https://bucket.example/may.csv', {
  method: 'PUT',
  headers: { 'content-length': String(size) },
  body: Readable.toWeb(sftp.createReadStream('reports/may.csv')) as ReadableStream<Uint8Array>,
  duplex: 'half',
} as RequestInit);
console.log(`the bucket answered ${response.status}`);
