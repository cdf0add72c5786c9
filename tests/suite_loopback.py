"""Connections between cVMs by the sockets programs know: the same two programs as native processes and as two cVMs.

Lines of the server begin with "s ", of the client with "c "; each end's lines are compared with its native ones.
"""
import os
import socket

from harness import (INSECURE, ROOT, Skip, Started, Test, compile_c, cvm_command, difference, directives, expect, expect_same, Fail, free_port, listening, read, run,
                     scratch, yaml_command)

FOLDER = os.path.join(ROOT, "tests/loopback")
PYTHON = "/usr/bin/python3.11"


def pod(name, cvms, head=""):
    """A YAML file: cvms are dictionaries of name, command, and of keys with lists of words or with YAML as it is."""
    path = os.path.join(scratch(f"pod-{name}"), "pod.yaml")
    lines = [head + "cVMs:"]
    for cvm in cvms:
        program, *arguments = map(str, cvm["command"])
        lines.append(f"  - name: {cvm['name']}")
        lines.append(f"    program: {program}")
        for key, words in {"args": arguments, **{k: v for k, v in cvm.items() if k not in ("name", "command")}}.items():
            lines.append(f"    {key}: {words if isinstance(words, (str, int)) else '[' + ', '.join(quoted(w) for w in words) + ']'}")
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
    return path


def quoted(word):
    return '"' + str(word).replace("\\", "\\\\").replace('"', '\\"') + '"'


def volumes(*paths):
    return sorted({f"{os.path.dirname(p)}:{os.path.dirname(p)}:ro" for p in map(str, paths) if p.startswith(ROOT)})


def ends(text):
    return [[line for line in text.splitlines() if line.startswith(f"{end} ")] for end in "sc"]


def two(label, server, client, grant):
    """Both ways, and compares."""
    with Started(server) as s, Started(client) as c:
        c.wait(120)
        s.wait(30)
        native = ends(s.output()) , ends(c.output())
    native = [native[0][0], native[1][1]]
    path = pod(label, [{"name": "server", "command": server, "listen": [grant], "volumes": volumes(*server)},
                       {"name": "client", "command": client, "reach": [grant], "volumes": volumes(*client)}])
    ours = run(yaml_command(path), timeout=120)
    for end, want, got in zip(("server", "client"), native, ends(ours.text())):
        if want != got:
            def joined(lines):
                return "\n".join(lines).encode()
            raise Fail(f"the {end} says something else than natively\n{difference(joined(want), joined(got))}\n{ours}")
    expect(native[1], "the client said nothing natively", ours)


def sockets(source, family, index):
    def test():
        program = compile_c(source)
        name = free_port() if family == "tcp" else f"/tmp/loopback-{os.getpid()}-{index}.sock"
        try:
            two(f"{os.path.basename(source)}-{family}", [program, "server", name], [program, "client", name],
                name if family == "tcp" else f"unix:{name}")
        finally:
            if family == "unix":
                run(["rm", "-f", name])
    return test


def pie_python():
    library = "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0"
    if not os.path.exists(library):
        raise Skip("needs the package libpython3.11")
    return compile_c(os.path.join(FOLDER, "python.c"), "gcc", ["-Wl,--no-as-needed", library])


def python_ends(name):
    def test():
        script, port = os.path.join(FOLDER, name + ".py"), free_port()
        two(name, [PYTHON, script, "server", port], [pie_python(), script, "client", port], port)
    return test


def cap_files():
    program = compile_c(os.path.join(FOLDER, "cap_files.c"))
    path = pod("cap-files", [
        {"name": "first", "command": [program, "first"], "volumes": volumes(program), "listen": ["unix:/run/talk"],
         "uses": "[{file: board, access: rw, map: true}, {file: rules, access: r}, {file: missing, access: rw}]",
         "provides": "[{file: missing}]"},
        {"name": "second", "command": [program, "second"], "volumes": volumes(program), "reach": ["unix:/run/talk"],
         "uses": "[{file: board, access: rw, map: true}]"}],
        'files:\n  - {name: board, size: "4160", data: "hello"}\n  - {name: rules, data: "be good!"}\n  - {name: other, size: 4K}\n')
    ours = run(yaml_command(path), timeout=90)
    expect(ours.status == 0 and sorted(ours.text().split("\n")) == ["", "first ok", "second ok"], "not ok twice", ours)


def inside_and_outside():
    """One redis-server accepts from the host, where its port is granted too, and from another cVM."""
    port = free_port()
    server = ["/usr/bin/redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"]
    for end in server[0], "/usr/bin/redis-cli", "/usr/bin/redis-benchmark":
        if not os.path.exists(end):
            raise Skip(f"needs {end}")
    path = pod("inside-and-outside", [
        {"name": "server", "command": server, "listen": [port], "bind": [f"127.0.0.1:{port}"], "ready": f"{{port: {port}}}"},
        {"name": "load", "command": ["/usr/bin/redis-benchmark", "-p", port, "-n", 30000, "-c", 20, "-t", "set,incr", "--csv"],
         "reach": [port], "after": ["server"]},
        {"name": "info", "command": ["/usr/bin/redis-cli", "-p", port, "info", "stats"], "reach": [port], "after": ["load"]}])
    with open(path) as f:
        text = f.read().replace('    reach: ["%d"]\n    after: ["server"]' % port,
                                '    reach: ["%d"]\n    after: ["server"]\n    ready: {exit: 0}' % port)
    with open(path, "w") as f:
        f.write(text)
    with Started(yaml_command(path)) as both:
        both.wait_for(lambda: listening(port))
        outside = run(["/usr/bin/redis-benchmark", "-p", port, "-n", 10000, "-c", 20, "-t", "set", "--csv"])
        expect(outside.status == 0 and '"SET"' in outside.text(), "from outside", outside)
        both.wait_for(lambda: "total_commands_processed" in both.output())
        counted = run(["/usr/bin/redis-cli", "-p", port, "get", "counter:__rand_int__"]).text().strip()
        done = run(["/usr/bin/redis-cli", "-p", port, "info", "commandstats"]).text()
        calls = {c: int(done.split(f"cmdstat_{c}:calls=")[1].split(",")[0]) for c in ("set", "incr")}
    expect(counted == "30000" and calls == {"set": 40000, "incr": 30000}, f"{counted} {calls}")


def three_in_a_row():
    """curl gets a file through nginx from Python's http.server: every byte of it, from cVM to cVM to cVM."""
    where, out = scratch("three-in-a-row"), scratch("three-in-a-row-out")
    for program in "/usr/sbin/nginx", "/usr/bin/curl", PYTHON:
        if not os.path.exists(program):
            raise Skip(f"needs {program}")
    with open(f"{where}/blob", "wb") as f:
        f.write(os.urandom(5_000_000))
    with open(f"{where}/nginx.conf", "w") as f:
        f.write(read(f"{ROOT}/examples/multi-tier/nginx.conf"))
    path = pod("three-in-a-row", [
        {"name": "web", "command": [PYTHON, "-m", "http.server", 8081, "--bind", "127.0.0.1", "--directory", where],
         "volumes": [f"{where}:{where}:ro"], "listen": [8081]},
        {"name": "nginx", "command": ["/usr/sbin/nginx", "-c", f"{where}/nginx.conf", "-e", "stderr"],
         "volumes": [f"{where}:{where}:ro"], "listen": [8080], "reach": [8081]},
        {"name": "curl", "command": ["/usr/bin/curl", "-sS", "--retry", 60, "--retry-all-errors", "--retry-delay", 1, "-f",
                                     "http://127.0.0.1:8080/blob", "-o", f"{out}/new", "-w", "fetched %{size_download}\\n"],
         "volumes": [f"{out}:{out}"], "reach": [8080]}])
    with Started(yaml_command(path)) as all_three:
        all_three.wait_for(lambda: "fetched" in all_three.output(), 90)
        with open(f"{where}/blob", "rb") as a, open(f"{out}/new", "rb") as b:
            expect(a.read() == b.read(), f"other bytes\n{all_three.output()}")


ONCE = """use Socket; my $n = shift; my $unix = $n =~ /^\\//;
socket S, $unix ? AF_UNIX : AF_INET, SOCK_STREAM, 0; connect S, $unix ? sockaddr_un($n) : sockaddr_in($n, INADDR_LOOPBACK) or die "$n: $!";
syswrite S, $n; sysread S, $got, 100; say "client got $got" """


def ready_when_it_listens():
    """A client that tries once, after a server that takes its time, on a port and a path that no host has."""
    late = os.path.join(FOLDER, "late.py")
    for name in "7171", "/run/late.sock":
        grant = name if name == "7171" else f"unix:{name}"
        for more in {}, {"isolate_libos": "true"}:
            path = pod("ready-when-it-listens", [
                {"name": "client", "command": ["/usr/bin/perl", "-Mfeature=say", "-e", ONCE, name], "reach": [grant], "after": ["server"]},
                {"name": "server", "command": [PYTHON, late, name], "volumes": volumes(late), "listen": [grant], "ready": f'{{port: "{grant}", timeout: 2m}}', **more}])
            ours = run(yaml_command(path), timeout=120)
            expect(ours.status == 0 and sorted(ours.text().splitlines()) == ["client got well", f"server got {name}"], f"{name} {more}", ours)


def connects_to_itself():
    """Two programs of one cVM on a port that it may only listen on, and one that `exec` would start: nobody listens yet, then the other does."""
    script = """use Socket; $| = 1; sub to { socket C, AF_INET, SOCK_STREAM, 0; connect C, sockaddr_in(7272, INADDR_LOOPBACK) } to and die; say "refused: ", $! + 0;
        socket S, AF_INET, SOCK_STREAM, 0; bind S, sockaddr_in(7272, INADDR_ANY) or die $!; listen S, 5 or die $!;
        if (!fork) { to or die $!; syswrite C, "mine"; sysread C, $got, 9; say "child got $got"; exit 0 }
        accept A, S or die $!; sysread A, $got, 9; say "parent got $got"; syswrite A, "yours"; wait; say "status $?" """
    for grant in "7272", "*":
        ours = run(cvm_command(["/usr/bin/perl", "-Mfeature=say", "-e", script], ["--listen", grant]))
        expect(ours.text().split("\n") == ["refused: 111", "parent got mine", "child got yours", "status 0", ""] and not ours.status, grant, ours)


def watched_before_it_connects():
    """By as many epolls as one likes: the socket that they watch becomes another one."""
    script = """import select, socket, sys; listener, c = socket.create_server(("127.0.0.1", int(sys.argv[1]))), socket.socket();
watchers = [select.epoll() for _ in range(20)]; [e.register(c, select.EPOLLIN) for e in watchers]; c.connect(("127.0.0.1", int(sys.argv[1])));
a, _ = listener.accept(); [e.poll(0) for e in watchers]; a.send(b"x"); print(sum(e.poll(60) == [(c.fileno(), select.EPOLLIN)] for e in watchers))"""
    command = [PYTHON, "-c", script, free_port()]
    native = run(command)
    expect(native.text() == "20\n", "not as expected natively", native)
    expect_same(native, run(cvm_command(command, ["--listen", command[-1]])))


def no_handle_left():
    """Sockets get their host socket when they are first used: what they say then is why they have none."""
    script = """import errno, socket; kept = []
try:
    while True:
        kept.append(socket.socket())
        kept[-1].bind(("127.0.0.1", 0))
except OSError as e:
    print(errno.errorcode[e.errno])
for name, use in (("setsockopt", lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)), ("listen", lambda s: s.listen()),
                  ("getsockname", lambda s: s.getsockname()), ("connect", lambda s: s.connect(("127.0.0.1", 1)))):
    try:
        print(name, use(kept[-1]))
    except OSError as e:
        print(name, errno.errorcode[e.errno])"""
    ours = run(cvm_command([PYTHON, "-c", script], ["--net", "any", "--handles", 64]))
    expect(ours.text() == "EMFILE\nsetsockopt EMFILE\nlisten EMFILE\ngetsockname EMFILE\nconnect EMFILE\n", "other errors", ours)


def passing():
    program = compile_c(os.path.join(FOLDER, "passing.c"))
    ours = run(cvm_command([program, 5556], ["--listen", 5556, "-v", f"{os.path.dirname(program)}:{os.path.dirname(program)}:ro"]), timeout=90)
    expect(ours.text() == "all seen\n" and not ours.status, "a sleeper was forgotten", ours)


def shut_listener():
    program, port = compile_c(os.path.join(FOLDER, "shut_listener.c")), free_port()
    native = run([program, port])
    expect_same(native, run(cvm_command([program, port], ["--listen", port, *(w for v in volumes(program) for w in ("-v", v))])))


def loopback_peers():
    """Servers that trust the loopback (redis does) look at the peer's address: 127.0.0.1 or ::1 whichever listener accepts, as none of IPv6 alone
    sees one of IPv4."""
    script = """import socket; four, six = socket.socket(), socket.socket(socket.AF_INET6); six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1);
        [(s.bind((a, 7373)), s.listen()) for s, a in ((four, '127.0.0.1'), (six, '::'))];
        mine = [socket.create_connection((a, 7373)) for a in ('127.0.0.1', '::1', '::1', '127.0.0.1')];
        print([s.accept()[1][0] for s in (six, six, four, four)]); four.close(); six.close(); both = socket.create_server(('::', 7373),
        family=socket.AF_INET6, dualstack_ipv6=True); mine += [socket.create_connection((a, 7373)) for a in ('127.0.0.1', '::1')];
        print([both.accept()[1][0] for _ in '12'])"""
    ours = run(cvm_command([PYTHON, "-c", " ".join(script.split())], ["--listen", 7373]))
    expect(ours.text() == "['::1', '::1', '127.0.0.1', '127.0.0.1']\n['::ffff:127.0.0.1', '::1']\n" and not ours.status, "other peers", ours)


def ready_on_the_host():
    """The server is ready by its own word: nobody connects to ask. Another program that has the port does not make it ready."""
    port, address, late = free_port(), "127.0.0.2", os.path.join(FOLDER, "late.py")
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        for bound in f"{address}:{port}", f"{port}":
            connect = f"import socket; s = socket.create_connection(('{address}', {port})); s.sendall(b'once'); print('client got', s.recv(9).decode())"
            path = pod("ready-on-the-host", [
                {"name": "client", "command": [pie_python(), "-c", connect], "connect": [f"{address}:{port}"], "after": ["server"]},
                {"name": "server", "command": [PYTHON, late, port, address], "volumes": volumes(late), "bind": [bound], "ready": f"{{port: {port}}}"}])
            ours = run(yaml_command(path), timeout=120)
            expect(ours.status == 0 and sorted(ours.text().splitlines()) == ["client got well", "server got once"], bound, ours)
        other.setblocking(False)
        try:
            other.accept()
        except BlockingIOError:
            return
        raise Fail("somebody connected to ask")


def nothing_granted():
    """/cap is there only for those who were granted something. Who binds or connects all the same is told how it is granted, once."""
    ours = run(cvm_command(["/bin/ls", "/cap"]))
    expect(ours.status == 2 and "No such file" in ours.errors(), "/cap without a grant", ours)
    ours = run(cvm_command(["/usr/bin/perl", "-MSocket", "-e", """
        sub ports { my ($call, $type) = @_; for my $port (5001, 5002) { socket S, AF_INET, $type, 0; $call->(pack_sockaddr_in($port, INADDR_LOOPBACK)) and die } }
        ports sub { bind S, shift }, SOCK_STREAM; ports sub { connect S, shift }, SOCK_DGRAM; ports sub { connect S, shift }, SOCK_STREAM"""]))
    expect(ours.status == 0 and ours.errors().splitlines()[len(INSECURE):] == [
        "[perl] bind: port 5001 is not granted (--bind 5001, or --listen for cVMs only)",
        "[perl] connect: port 5001 is not granted (--connect ADDRESS:5001, or --reach for a cVM's)"], "not told", ours)


def tests():
    found = []
    for index, name in enumerate(sorted(n for n in os.listdir(FOLDER) if n.endswith(".c") and n not in ("python.c", "cap_files.c", "passing.c", "shut_listener.c"))):
        source = os.path.join(FOLDER, name)
        for family in directives(source, ("names",))["names"].split():
            found.append(Test(f"loopback/{name[:-2]}.{family}", sockets(source, family, index)))
    return found + [Test("loopback/crowd", python_ends("crowd")), Test("loopback/families", python_ends("families")),
                    Test("loopback/cap_files", cap_files), Test("loopback/inside_and_outside", inside_and_outside),
                    Test("loopback/three_in_a_row", three_in_a_row),
                    Test("loopback/ready_when_it_listens", ready_when_it_listens), Test("loopback/ready_on_the_host", ready_on_the_host),
                    Test("loopback/connects_to_itself", connects_to_itself), Test("loopback/no_handle_left", no_handle_left),
                    Test("loopback/watched_before_it_connects", watched_before_it_connects), Test("loopback/passing", passing), Test("loopback/shut_listener", shut_listener),
                    Test("loopback/loopback_peers", loopback_peers),
                    Test("loopback/nothing_granted", nothing_granted)]
