# Serves a folder with paramiko's SFTP server, to one user with a password. Paramiko leaves the files to whoever uses it,
# so these few methods are what any program with it has: everything else (packets, handles, errors) is paramiko's.
# Usage: paramiko-server.py FOLDER HOST_KEY; prints the port, and ends with its standard input.
import os
import socket
import sys
import threading

import paramiko

folder, host_key = sys.argv[1:3]


def local(path):
    return os.path.join(folder, path.lstrip("/"))


def attempt(action):
    try:
        result = action()
    except OSError as error:
        return paramiko.SFTPServer.convert_errno(error.errno)
    return paramiko.SFTP_OK if result is None else result


class Handle(paramiko.SFTPHandle):
    def stat(self):
        return attempt(lambda: paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno())))

    def chattr(self, attr):
        paramiko.SFTPServer.set_file_attr(self.readfile.name, attr)
        return paramiko.SFTP_OK


class Files(paramiko.SFTPServerInterface):
    def list_folder(self, path):
        def entry(name):
            attributes = paramiko.SFTPAttributes.from_stat(os.lstat(os.path.join(local(path), name)))
            attributes.filename = name
            return attributes

        return attempt(lambda: [entry(name) for name in os.listdir(local(path))])

    def stat(self, path):
        return attempt(lambda: paramiko.SFTPAttributes.from_stat(os.stat(local(path))))

    def lstat(self, path):
        return attempt(lambda: paramiko.SFTPAttributes.from_stat(os.lstat(local(path))))

    def open(self, path, flags, attr):
        def open_file():
            descriptor = os.open(local(path), flags, 0o666)
            mode = "wb" if flags & os.O_WRONLY else "r+b" if flags & os.O_RDWR else "rb"
            handle = Handle(flags)
            handle.readfile = handle.writefile = os.fdopen(descriptor, mode)
            handle.filename = local(path)
            return handle

        return attempt(open_file)

    def remove(self, path):
        return attempt(lambda: os.remove(local(path)))

    def rename(self, old, new):
        if os.path.lexists(local(new)):
            return paramiko.SFTP_FAILURE
        return attempt(lambda: os.rename(local(old), local(new)))

    def posix_rename(self, old, new):
        return attempt(lambda: os.replace(local(old), local(new)))

    def mkdir(self, path, attr):
        return attempt(lambda: os.mkdir(local(path)))

    def rmdir(self, path):
        return attempt(lambda: os.rmdir(local(path)))

    def chattr(self, path, attr):
        return attempt(lambda: paramiko.SFTPServer.set_file_attr(local(path), attr))

    def symlink(self, target, path):
        return attempt(lambda: os.symlink(target, local(path)))

    def readlink(self, path):
        return attempt(lambda: os.readlink(local(path)))


class Server(paramiko.ServerInterface):
    def check_auth_password(self, username, password):
        matches = (username, password) == ("me", "test")
        return paramiko.AUTH_SUCCESSFUL if matches else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "password"

    def check_channel_request(self, kind, channel):
        return paramiko.OPEN_SUCCEEDED


def serve(client):
    transport = paramiko.Transport(client)
    transport.add_server_key(paramiko.RSAKey(filename=host_key))
    transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
    transport.start_server(server=Server())


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)


def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
sys.stdin.read()
