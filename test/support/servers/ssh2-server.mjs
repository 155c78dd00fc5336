/**
 * Serves a folder with the npm package ssh2, as its documentation (SFTP.md) shows it: the flags of OPEN by
 * `flagsToString`, which knows those of `fs.open` and no others, everything else with `node:fs`, each answer when it is
 * there, whatever came before.
 *
 * Usage: ssh2-server.mjs FOLDER HOST_KEY; prints the port, and ends with its standard input.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import ssh2 from 'ssh2';

const { flagsToString, STATUS_CODE } = ssh2.utils.sftp;
const [, , folder, hostKey] = process.argv;

const STATUS = new Map([
  ['ENOENT', STATUS_CODE.NO_SUCH_FILE],
  ['EACCES', STATUS_CODE.PERMISSION_DENIED],
  ['EPERM', STATUS_CODE.PERMISSION_DENIED],
]);

const [open, close, read, write, fstat, futimes, fchmod, ftruncate] = [
  fs.open,
  fs.close,
  fs.read,
  fs.write,
  fs.fstat,
  fs.futimes,
  fs.fchmod,
  fs.ftruncate,
].map((call) => promisify(call));

/** What clients see below `/` lies in the folder. */
function localPath(name) {
  return path.join(folder, path.posix.resolve('/', name));
}

function attributesOf({ mode, uid, gid, size, atimeMs, mtimeMs }) {
  return { mode, uid, gid, size, atime: Math.floor(atimeMs / 1000), mtime: Math.floor(mtimeMs / 1000) };
}

function serve(sftp) {
  const opened = new Map();
  let count = 0;
  const handleFor = (item) => {
    const handle = Buffer.alloc(4);
    handle.writeUInt32BE(count);
    opened.set(count++, item);
    return handle;
  };
  const of = (handle) => opened.get(handle.readUInt32BE());
  const done = (id) => sftp.status(id, STATUS_CODE.OK);
  const on = (event, answer) =>
    sftp.on(event, (id, ...values) => {
      Promise.resolve()
        .then(() => answer(id, ...values))
        .catch((error) => sftp.status(id, STATUS.get(error.code) ?? STATUS_CODE.FAILURE));
    });

  on('OPEN', async (id, name, flags, { mode }) => {
    const mapped = flagsToString(flags);
    if (mapped === null) return sftp.status(id, STATUS_CODE.FAILURE);
    const file = await open(localPath(name), mapped, mode === undefined ? 0o666 : mode & 0o777);
    return sftp.handle(id, handleFor({ file }));
  });
  on('READ', async (id, handle, offset, length) => {
    const { bytesRead, buffer } = await read(of(handle).file, Buffer.alloc(length), 0, length, offset);
    if (bytesRead === 0) return sftp.status(id, STATUS_CODE.EOF);
    return sftp.data(id, buffer.subarray(0, bytesRead));
  });
  on('WRITE', async (id, handle, offset, data) => {
    await write(of(handle).file, data, 0, data.length, offset);
    done(id);
  });
  on('FSTAT', async (id, handle) => sftp.attrs(id, attributesOf(await fstat(of(handle).file))));
  on('FSETSTAT', async (id, handle, { mode, size, atime, mtime }) => {
    const { file } = of(handle);
    if (size !== undefined) await ftruncate(file, size);
    if (mode !== undefined) await fchmod(file, mode & 0o777);
    if (mtime !== undefined) await futimes(file, atime, mtime);
    done(id);
  });
  on('CLOSE', async (id, handle) => {
    const { file } = of(handle);
    opened.delete(handle.readUInt32BE());
    if (file !== undefined) await close(file);
    done(id);
  });
  on('STAT', async (id, name) => sftp.attrs(id, attributesOf(await fs.promises.stat(localPath(name)))));
  on('LSTAT', async (id, name) => sftp.attrs(id, attributesOf(await fs.promises.lstat(localPath(name)))));
  on('SETSTAT', async (id, name, { mode, size, atime, mtime }) => {
    const target = localPath(name);
    if (size !== undefined) await fs.promises.truncate(target, size);
    if (mode !== undefined) await fs.promises.chmod(target, mode & 0o777);
    if (mtime !== undefined) await fs.promises.utimes(target, atime, mtime);
    done(id);
  });
  on('OPENDIR', async (id, name) => {
    const directory = localPath(name);
    const names = await fs.promises.readdir(directory);
    return sftp.handle(id, handleFor({ directory, names }));
  });
  on('READDIR', async (id, handle) => {
    const { directory, names } = of(handle);
    const next = names.splice(0, 100);
    if (next.length === 0) return sftp.status(id, STATUS_CODE.EOF);
    const entries = next.map(async (filename) => {
      const attrs = attributesOf(await fs.promises.lstat(path.join(directory, filename)));
      return { filename, longname: filename, attrs };
    });
    return sftp.name(id, await Promise.all(entries));
  });
  on('REMOVE', async (id, name) => done(id, await fs.promises.unlink(localPath(name))));
  on('RMDIR', async (id, name) => done(id, await fs.promises.rmdir(localPath(name))));
  on('MKDIR', async (id, name) => done(id, await fs.promises.mkdir(localPath(name))));
  on('RENAME', async (id, from, to) => done(id, await fs.promises.rename(localPath(from), localPath(to))));
  on('REALPATH', (id, name) => {
    const filename = path.posix.resolve('/', name);
    sftp.name(id, [{ filename, longname: filename, attrs: {} }]);
  });
  on('READLINK', async (id, name) => {
    const filename = await fs.promises.readlink(localPath(name));
    sftp.name(id, [{ filename, longname: filename, attrs: {} }]);
  });
  on('SYMLINK', async (id, link, target) => done(id, await fs.promises.symlink(target, localPath(link))));
}

const server = new ssh2.Server({ hostKeys: [fs.readFileSync(hostKey)] }, (client) => {
  client.on('authentication', (context) => {
    const isRight = context.username === 'me' && context.method === 'password' && context.password === 'test';
    if (isRight) context.accept();
    // As in its example: without the methods that would do.
    else context.reject();
  });
  client.on('session', (acceptSession) => {
    acceptSession().on('sftp', (acceptSftp) => serve(acceptSftp()));
  });
  // A client that has gone is no reason to end.
  client.on('error', () => {});
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
process.stdin.resume().once('end', () => process.exit(0));
