/** What a server tells of a file, in the form of ssh2-sftp-client: values in place of methods, milliseconds. */
import type { FileAttributes, FileType } from '../index.js';
import type { FileInfo, FileInfoType, FileStats } from './types.js';

/** The first letter of a line of `ls -l`. */
const LETTERS: Readonly<Partial<Record<FileType, string>>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  fifo: 'p',
  socket: 's',
  'character-device': 'c',
  'block-device': 'b',
};

export function fileInfo(attributes: FileAttributes): FileInfo {
  const { filename, longname, size = 0, mtime = 0, atime = 0, uid = 0, gid = 0, mode } = attributes;
  // Some servers tell no permissions but in their line.
  const line = mode === undefined && longname !== '' ? longname : String(attributes);
  return {
    type: typeLetter(attributes) as FileInfoType,
    name: filename,
    size,
    modifyTime: mtime * 1000,
    accessTime: atime * 1000,
    rights: rightsOf(line),
    owner: uid,
    group: gid,
    longname: longname || line,
  };
}

export function typeLetter({ type, longname }: FileAttributes): string {
  return LETTERS[type] ?? longname.slice(0, 1);
}

/** Of a line as `-rw-r--r-- …`: three words without the dashes. */
function rightsOf(line: string): FileInfo['rights'] {
  const [user = '', group = '', other = ''] = [1, 4, 7].map((start) =>
    line.slice(start, start + 3).replaceAll('-', ''),
  );
  return { user, group, other };
}

export function fileStats(attributes: FileAttributes): FileStats {
  const { mode = 0, uid = 0, gid = 0, size = 0, atime = 0, mtime = 0, type } = attributes;
  return {
    mode,
    uid,
    gid,
    size,
    accessTime: atime * 1000,
    modifyTime: mtime * 1000,
    isDirectory: type === 'directory',
    isFile: type === 'file',
    isBlockDevice: type === 'block-device',
    isCharacterDevice: type === 'character-device',
    isSymbolicLink: type === 'symlink',
    isFIFO: type === 'fifo',
    isSocket: type === 'socket',
  };
}
