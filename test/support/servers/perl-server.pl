# Net::SFTP::SftpServer as a subsystem: its root is the folder in ARGV[0] that is called as the user.
use strict;
use warnings;
use Net::SFTP::SftpServer;

Net::SFTP::SftpServer->new(home => $ARGV[0], file_perms => 0644, dir_perms => 0755)->run();
