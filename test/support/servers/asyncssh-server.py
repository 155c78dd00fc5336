# Serves a folder with asyncssh's own SFTP server, to one user with a password.
# Usage: asyncssh-server.py FOLDER HOST_KEY; prints the port, and ends with its standard input.
import asyncio
import sys

import asyncssh

folder, host_key = sys.argv[1:3]


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return (username, password) == ("me", "test")


def serve(channel):
    return asyncssh.SFTPServer(channel, chroot=folder.encode())


async def main():
    server = await asyncssh.create_server(
        Server, "127.0.0.1", 0, server_host_keys=[host_key], sftp_factory=serve
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
