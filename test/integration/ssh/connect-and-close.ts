/** A program of its own: connects, closes, and must then end by itself. */
import { AuthenticationError } from '../../../src/errors.js';
import { connectSsh2 } from '../../../src/ssh/builtin/ssh2.js';
import { loadCredentials } from '../../../src/ssh/credentials/credentials.js';

const { TSFTP_PORT, TSFTP_USER = '', TSFTP_KEY } = process.env;
try {
  const connection = await connectSsh2({
    host: '127.0.0.1',
    port: Number(TSFTP_PORT),
    username: TSFTP_USER,
    hostKeys: null,
    credentials: await loadCredentials({ privateKey: TSFTP_KEY }),
  });
  await connection.close();
} catch (error) {
  if (!(error instanceof AuthenticationError)) {
    throw error;
  }
}
