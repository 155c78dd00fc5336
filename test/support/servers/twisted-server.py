# Serves files with Twisted Conch's SFTP server, as the user who runs it, with a password.
# Usage: twisted-server.py HOST_KEY; prints the port, and ends with its standard input.
import getpass
import os
import sys
import threading

from twisted.conch.interfaces import ISFTPServer
from twisted.conch.ssh import factory, keys
from twisted.conch.unix import SFTPServerForUnixConchUser, UnixConchUser
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.python import components

host_key = keys.Key.fromFile(sys.argv[1])
users = InMemoryUsernamePasswordDatabaseDontUse()
users.addUser(getpass.getuser().encode(), b"test")


class User(UnixConchUser):
    pass


class Files(SFTPServerForUnixConchUser):
    """Version 22.4 takes the home directory for an object, and paths for ASCII."""

    def _absPath(self, path):
        return os.path.join(os.fsencode(self.avatar.getHomeDir()), os.fsencode(path))


components.registerAdapter(Files, User, ISFTPServer)


class Realm:
    def requestAvatar(self, username, mind, *interfaces):
        user = User(username.decode())
        return interfaces[0], user, user.logout


class Factory(factory.SSHFactory):
    portal = Portal(Realm(), [users])
    publicKeys = {host_key.sshType(): host_key.public()}
    privateKeys = {host_key.sshType(): host_key}


def wait():
    sys.stdin.read()
    reactor.callFromThread(reactor.stop)


listening = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
print(listening.getHost().port, flush=True)
threading.Thread(target=wait, daemon=True).start()
reactor.run()
