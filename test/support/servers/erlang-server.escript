#!/usr/bin/escript
%% Serves files with Erlang's ssh_sftpd, to one user with a password.
%% Usage: erlang-server.escript FOLDER SYSTEM_DIR, the latter with ssh_host_rsa_key; prints the port, and ends with its
%% standard input.
main([Folder, SystemDir]) ->
    {ok, _} = application:ensure_all_started(ssh),
    {ok, Daemon} = ssh:daemon({127, 0, 0, 1}, 0, [
        {system_dir, SystemDir},
        {user_dir, SystemDir},
        {user_passwords, [{"me", "test"}]},
        {shell, disabled},
        {exec, disabled},
        {subsystems, [ssh_sftpd:subsystem_spec([{cwd, Folder}])]}
    ]),
    {ok, Info} = ssh:daemon_info(Daemon),
    io:format("~b~n", [proplists:get_value(port, Info)]),
    wait().

wait() ->
    case io:get_line("") of
        eof -> halt(0);
        {error, _} -> halt(0);
        _ -> wait()
    end.
