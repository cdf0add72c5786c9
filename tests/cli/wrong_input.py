#!/usr/bin/python3
"""Wrong options, configuration files and environments: each gives one line that names the place and the remedy, the
right exit status, starts nothing and leaves nothing behind.
"""
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fakes import Box, libos_elf  # noqa: E402

BASE = ["run", "--insecure-no-pkeys", "-q"]
LONG = "x" * 5000

# (arguments behind BASE, what the message must contain after "intravisor: ")
OPTIONS = [
    ([], "run: no program is given (intravisor run [OPTIONS] -- PROGRAM"),
    (["--"], "run: no program is given"),
    (["--memry", "1G", "x"], "run: unknown option --memry (did you mean --memory?)"),
    (["--volumes=a:b", "x"], "run: unknown option --volumes (did you mean --volume?)"),
    (["--insecure-no-pkey", "x"], "(did you mean --insecure-no-pkeys?)"),
    (["--frobnicate", "x"], "run: unknown option --frobnicate (see intravisor run --help)"),
    (["-Z", "x"], "run: unknown option -Z (see intravisor run --help)"),
    (["-", "x\x1b[2J"], None),  # "-" is a program's name
    (["--memory"], "--memory: the value is missing"),
    (["-m"], "-m: the value is missing"),
    (["-m", "12Q", "x"], "-m: \"12Q\" is not a size (use 64M, 2G)"),
    (["--memory", "", "x"], "--memory: \"\" is not a size"),
    (["--memory=1.5G", "x"], "--memory: \"1.5G\" is not a size"),
    (["--memory=-1", "x"], "--memory: \"-1\" is not a size"),
    (["--memory=99999999999999999999", "x"], "is not a size"),
    (["--memory=17179869184G", "x"], "is not a size"),
    (["--memory", "1K", "x"], "--memory: 1K is out of range (use 8M to 48G)"),
    (["--memory", "100G", "x"], "--memory: 100G is out of range (use 8M to 48G)"),
    (["--memory", "1G", "--memory", "2G", "x"], "--memory: given twice"),
    (["--memory", "1\x1b[2JG", "x"], "--memory: \"1\\x1b[2JG\" is not a size"),
    (["--memory", "1\nintravisor: fake", "x"], "--memory: \"1\\x0aintravisor: fake\" is not a size"),
    (["--memory", LONG, "x"], "is not a size (use 64M, 2G)"),
    (["--threads", "0", "x"], "--threads: 0 is out of range (use 1 to 1024)"),
    (["--threads", "many", "x"], "--threads: \"many\" is not a number (use 1 to 1024)"),
    (["--handles", "1", "x"], "--handles: 1 is out of range (use 16 to 16384)"),
    (["--cpu-weight", "10001", "x"], "--cpu-weight: 10001 is out of range (use 1 to 10000)"),
    (["--log-rate", "1", "x"], "--log-rate: 1 is out of range (use 1K to 1T)"),
    (["--name", "a b", "x"], "--name: \"a b\" is not a name (use 1 to 63 of A-Z a-z 0-9 _ . -)"),
    (["--name", "a" * 64, "x"], "is not a name"),
    (["--name=", "x"], "--name: \"\" is not a name"),
    (["--runtime", "bare", "--init", "x"], "a bare cVM has no libOS, so init means nothing there (leave it out)"),
    (["--init=true", "x"], "--init: takes no value"),
    (["--isolate-libos=yes", "x"], "--isolate-libos: takes no value"),
    (["--runtime", "bare", "--isolate-libos", "x"], "a bare cVM has no libOS, so isolate_libos means nothing there (leave it out)"),
    (["--hostname", "a_b", "x"], "--hostname: \"a_b\" is not a host name"),
    (["--root", "/nonexistent", "x"], "--root: cannot open the root directory /nonexistent: No such file or directory (name an existing directory)"),
    (["--root", "/etc/passwd", "x"], "--root: cannot open the root directory /etc/passwd: Not a directory"),
    (["--root=", "x"], "--root: the directory is missing"),
    (["-v", "/etc", "x"], "-v: \"/etc\" names no place inside the cVM (use HOST:GUEST or HOST:GUEST:ro)"),
    (["-v", ":/x", "x"], "-v: the host's path is missing"),
    (["-v", "/etc:x", "x"], "-v: \"x\" is not an absolute path inside the cVM (start it with /)"),
    (["-v", "/etc:", "x"], "-v: \"\" is not an absolute path"),
    (["-v", "/etc:/a/../b", "x"], "-v: \"/a/../b\" contains \"..\" (write the path out)"),
    (["-v", "/etc:/x:rx", "x"], "-v: \"rx\" is not a mode (use ro or rw)"),
    (["-v", "/etc://", "x"], "-v: a volume cannot replace the cVM's root"),
    (["--volume", "/nonexistent:/x", "x"], "--volume: cannot find /nonexistent on the host: No such file or directory (create it first)"),
    (["-v", "/dev/null:/x", "x"], "-v: /dev/null is neither a directory nor a regular file"),
    (["-v", "fifo:/x", "x"], "-v: fifo is neither a directory nor a regular file"),
    (["-v", "socket:/x", "x"], "-v: socket is neither a directory nor a regular file"),
    (["-v", "loop:/x", "x"], "-v: cannot find loop on the host: Too many levels of symbolic links"),
    (["-v", "/etc:/x", "-v", "/usr:/x/", "x"], "two volumes are mounted on /x (remove one)"),
    (["-v", "/etc:/x", "--tmpfs", "/x", "x"], "a volume and a tmpfs are mounted on /x (remove one)"),
    (["--tmpfs", "/x", "--tmpfs", "//x", "x"], "two tmpfs are mounted on /x (remove one)"),
    (["--tmpfs", "/", "x"], "--tmpfs: the cVM's root cannot be a tmpfs"),
    (["--tmpfs", "tmp", "x"], "--tmpfs: \"tmp\" is not an absolute path"),
    (["-v", "/etc:/" + LONG, "x"], "-v: the path is too long (at most 4095 bytes)"),
    (sum((["-v", f"/etc:/v{i}"] for i in range(25)), []) + ["x"], "-v: too many volumes (at most 24)"),
    (sum((["--tmpfs", f"/v{i}"] for i in range(17)), []) + ["x"], "--tmpfs: too many tmpfs mounts (at most 16)"),
    (["-e", "=1", "x"], "-e: \"\" is not the name of a variable (use NAME=VALUE or NAME)"),
    (["--env-file", "missing", "x"], "--env-file: cannot open the file of variables missing: No such file or directory"),
    (["--env-file", "vars", "x"], '--env-file: vars:4: "export B" is not the name of a variable (write NAME=VALUE, NAME or # COMMENT)'),
    (["--env-file", "noname", "x"], '--env-file: noname:1: "" is not the name of a variable'),
    (["--env-file", "bare", "x"], "--env-file: bare: the file holds a NUL byte (write lines NAME=VALUE)"),
    (["--env-file", "/dev/zero", "x"], "--env-file: the file of variables /dev/zero is too large (at most 1 MiB)"),
    (["-w", "here", "x"], "-w: \"here\" is not an absolute path"),
    (["-u", "root", "x"], "-u: \"root\" is not UID or UID:GID (numbers, for example 1000:1000)"),
    (["-u", "1:", "x"], "-u: \"1:\" is not UID or UID:GID"),
    (["-u", "4294967295", "x"], "is not UID or UID:GID"),
    (["-p", "70000", "x"], "-p: \"70000\": not a port from 0 to 65535 (use [ADDRESS:]PORT"),
    (["-p", "http", "x"], "-p: \"http\": not a port from 0 to 65535"),
    (["-p", "127.0.0.1:8080:80", "x"], "-p: \"127.0.0.1:8080:80\": ports are not translated"),
    (["-p", "[::1]:8080:80", "x"], "-p: \"[::1]:8080:80\": ports are not translated"),
    (["-p", "[::1]x:80", "x"], "-p: \"[::1]x:80\": the ] is followed by something else than the port"),
    (["--connect", "[fd00::/8]:1:80", "x"], "--connect: \"[fd00::/8]:1:80\": the ] is followed by something else than the port"),
    (["-p", "8080:80", "x"], "-p: \"8080:80\": ports are not translated"),
    (["--publish", "90-80", "x"], "--publish: \"90-80\": the range of ports is empty"),
    (["--bind", "80/sctp", "x"], "--bind: \"80/sctp\": not a port or a range of ports"),
    (["--bind", "::1:80", "x"], "--bind: \"::1:80\": an IPv6 address needs brackets"),
    (["--bind", "[::1:80", "x"], "--bind: \"[::1:80\": the ] of the IPv6 address is missing"),
    (["--bind", "[::1]", "x"], "--bind: \"[::1]\": the port is missing"),
    (["--bind", "10.0.0.0/8:80", "x"], "a prefix makes sense only in what may be connected to"),
    (["--connect", "example.org:80", "x"], "--connect: \"example.org:80\": not an IPv4 address or an IPv6 address in brackets (names are not resolved)"),
    (["--connect", "10.0.0.1", "x"], "--connect: \"10.0.0.1\": the port is missing"),
    (["--connect", "10.0.0.1:", "x"], "not a port from 0 to 65535"),
    (["--connect", "10.0.0.1:0", "x"], "port 0 cannot be connected to"),
    (["--connect", "10.0.0.1/8:80", "x"], "the address has bits behind the prefix"),
    (["--connect", "10.0.0.0/33:80", "x"], "the prefix is not a number from 0 to 32"),
    (["--connect", "[fd00::/129]:80", "x"], "the prefix is not a number from 0 to 128"),
    (sum((["--connect", f"*:{i + 1}"] for i in range(33)), []) + ["x"], "--connect: too many network rules (at most 64"),
    (["--net", "host", "x"], "--net: \"host\" is not a network (use rules, none or any)"),
    (["--net", "none", "-p", "80", "x"], "net is none but ports or addresses are granted (remove one or the other)"),
    (["--net", "any", "-p", "80", "x"], "net is any, so ports and addresses need no grant"),
    (["--trace=yes", "x"], "--trace: takes no value"),
    (["--stats=1", "x"], "--stats: takes no value"),
    (["-qx", "x"], "-q: takes no value"),
    ([""], "the program's name is empty"),
    (["--use", "file:x", "x"], "--use: no cVM provides the file \"x\""),
    (["--provide", "x", "x"], "--provide: \"x\" names no kind (use file:NAME, call:NAME or stream:NAME)"),
    (["--listen", "http", "x"], "--listen: \"http\" is neither a port nor unix:/path"),
    (["--caps", "many", "x"], "--caps: \"many\" is not a number (use 1 to 4096)"),
    (["--runtime", "docker", "x"], "--runtime: \"docker\" is not a runtime"),
    (["--runtime", "bare", "/nonexistent"], "run: cannot read the bare program /nonexistent"),
    (["--restart", "often", "x"], "--restart: \"often\" is not a restart policy"),
    (["--stop-timeout", "x", "x"], "--stop-timeout: \"x\" is not a time"),
    (["-y"], "-y: the value is missing"),
    (["-y", "/nonexistent.yaml"], "/nonexistent.yaml: cannot open the configuration file: No such file or directory"),
    (["-y", "/etc"], "/etc: cannot read the configuration file: Is a directory"),
    (["-y", "pod.yaml", "-y", "pod.yaml"], "-y: given twice"),
    (["-y", "pod.yaml", "x"], "run: a program (x) and -y cannot be combined"),
    (["-y", "pod.yaml", "-m", "1G"], "run: --memory and -y cannot be combined (write it into the YAML file)"),
]

A = "cVMs:\n- name: a\n  args: [x]\n"
LONG_NAME = "n" * 112

# All of these: (the file pod.yaml, what the message must contain after "intravisor: ")
GRANTS = [(A + text, "pod.yaml:" + message) for text, message in [
    ("  uses: [{file: x}]", '4: cVMs[0].uses[0]: no cVM provides the file "x" (add it to a cVM\'s provides, or to files)'),
    ("  provides: [{call: f}]\n  uses:\n  - call: f\n  - call: g",
     '7: cVMs[0].uses[1]: no cVM provides the call "g" (add it to a cVM\'s provides)'),
    ("  uses: ['call:f']\n  provides: [{file: f}]", '4: cVMs[0].uses[0]: no cVM provides the call "f"'),
    ("  reach: [80]\n  listen: [81]", '4: cVMs[0].reach[0]: no cVM listens on 80 (add it to a cVM\'s listen)'),
    ("  reach: ['unix:/a']\n  listen: ['unix:/ab']", '4: cVMs[0].reach[0]: no cVM listens on /a (add it to a cVM\'s listen)'),
    ("  uses: [{stream: 'a*'}]\n  provides: [{stream: 'b*'}]", '4: cVMs[0].uses[0]: no cVM provides'),
    ("  uses: [{fil: x}]", '4: cVMs[0].uses[0]: unknown key "fil" (a grant has file, call or stream, and for files access, map, grant)'),
    ("  uses: [{access: r}]", "4: cVMs[0].uses[0]: must name one thing (file: NAME, call: NAME or stream: NAME)"),
    ("  uses: [{file: x, call: y}]", "4: cVMs[0].uses[0]: must name one thing"),
    ("  uses: [{file: [x]}]", "4: cVMs[0].uses[0]: file must be one value"),
    ("  uses: [{file: ~}]", "4: cVMs[0].uses[0]: file has no value"),
    ("  uses: {file: x}", "4: cVMs[0].uses: must be a list, not a map"),
    ("  uses: [[file]]", "4: cVMs[0].uses[0]: must be one value, not a list"),
    ("  uses: [{file: 'a b'}]", '4: cVMs[0].uses[0]: "a b" is not a name (use 1 to 111 of A-Z a-z 0-9 . _ / : @ -, and perhaps * at the end)'),
    ("  uses: [{file: 'a*b'}]", '4: cVMs[0].uses[0]: "a*b" is not a name'),
    ("  uses: [{file: ''}]", '4: cVMs[0].uses[0]: "" is not a name'),
    (f"  uses: [{{file: {LONG_NAME}}}]", '4: cVMs[0].uses[0]: "nnn'),
    ("  uses: [{file: x, access: x}]", '4: cVMs[0].uses[0]: "x" is not an access (use r, w or rw)'),
    ("  uses: [{file: x, access: w, map: true}]", "4: cVMs[0].uses[0]: what is mapped can be read (use access r or rw with map)"),
    ("  uses: [{file: x, map: maybe}]", '4: cVMs[0].uses[0]: "maybe" is neither true nor false'),
    ("  uses: [{call: x, access: r}]", "4: cVMs[0].uses[0]: access and map belong to files (leave them out)"),
    ("  uses: [{stream: x, map: true}]", "4: cVMs[0].uses[0]: access and map belong to files"),
    ("  provides: [{file: x, access: rw}]", "4: cVMs[0].provides[0]: what a cVM provides is its own (access, map and grant belong to uses)"),
    ("  provides: [{call: x}, {call: x}]", '4: cVMs[0].provides[1]: "x" is granted twice (once is enough)'),
    ("  listen: [80, 80]", '4: cVMs[0].listen[1]: "tcp/80" is granted twice'),
    ("  uses: [frob]", '4: cVMs[0].uses[0]: "frob" names no kind (use file:NAME, call:NAME or stream:NAME)'),
    ("  uses: ['pipe:x']", '4: cVMs[0].uses[0]: "pipe:x" names no kind'),
    ("  uses: ['file:x,rwx']", '4: cVMs[0].uses[0]: "rwx" is not a permission (use r, w, rw, map or grant)'),
    ("  listen: [0]", '4: cVMs[0].listen[0]: "0" is neither a port nor unix:/path (use 6379 or unix:/run/app.sock)'),
    ("  listen: ['127.0.0.1:80']", '4: cVMs[0].listen[0]: "127.0.0.1:80" is neither a port'),
    ("  reach: 'unix:app.sock'", '4: cVMs[0].reach: "app.sock" is not an absolute path'),
    ("  reach: 'unix:/'", "4: cVMs[0].reach: the socket's path is missing"),
    (f"  listen: 'unix:/{LONG_NAME}'", '4: cVMs[0].listen: "unix/nnn'),
    ("  listen: 'unix:/a b'", '4: cVMs[0].listen: "unix/a b" is not a name'),
    ("  listen: [" + ", ".join(str(i + 1) for i in range(65)) + "]", "4: cVMs[0].listen[64]: too many grants (at most 64"),
    ("  caps: 0", "4: cVMs[0].caps: 0 is out of range (use 1 to 4096)"),
    ("  caps: 4097", "4: cVMs[0].caps: 4097 is out of range"),
]]

FILES = [(text + "\n" + A, "pod.yaml:" + message) for text, message in [
    ("files: {a: b}", '1: files: must be a list (one "- name: ..." for each file)'),
    ("files: [a]", "1: files[0]: must be a map (name: ..., size: ...)"),
    ("capfiles: [{}]", "1: capfiles[0]: name is missing (a file has name, size, and data or file)"),
    ("files: [{name: a, size: 1}]\ncapfiles: [{name: b, size: 1}]", "2: capfiles: files and capfiles are the same (put all into files)"),
    ("files: [{name: a}]", "1: files[0]: size is missing"),
    ("files: [{name: a, data: ''}]", "1: files[0]: size is missing"),
    ("files: [{name: a, size: 0}]", "1: files[0]: 0 is out of range (use 1 to 48G)"),
    ("files: [{name: a, size: 0xzz}]", '1: files[0]: "0xzz" is not a size'),
    ("files: [{name: a, size: 0x}]", '1: files[0]: "0x" is not a size'),
    ("files: [{name: a, size: 2, data: abc}]", "1: files[0]: the data is larger than the size (3 bytes)"),
    ("files: [{name: a, data: abc, file: pod.yaml}]", "1: files[0]: the content is given twice (use data or file)"),
    ("files: [{name: a, size: 3, file: pod.yaml}]", "1: files[0]: the host's file is larger than the size (3 bytes)"),
    ("files: [{name: a, file: missing}]", "1: files[0]: cannot open missing on the host: No such file or directory (create it first)"),
    ("files: [{name: a, file: fifo}]", "1: files[0]: fifo is not a regular file"),
    ("files: [{name: a, file: /dev/zero}]", "1: files[0]: /dev/zero is not a regular file"),
    ("files: [{name: a, file: empty}]", "1: files[0]: empty is empty (give a size)"),
    ("files: [{name: 'a*', size: 1}]", '1: files[0]: "a*" is not a name (use 1 to 111 of A-Z a-z 0-9 . _ / : @ -)'),
    ("files:\n- {name: a, size: 1}\n- {name: a, size: 1}", '3: files[1]: the name "a" is used twice (give each file its own)'),
    ("files: [" + ", ".join(f"{{name: f{i}, size: 1}}" for i in range(65)) + "]", "1: files[64]: too many files (at most 64)"),
    ("files: [{name: a, sice: 1}]", '1: files[0]: unknown key "sice" (a file has name, size, and data or file)'),
    ("files: [{name: a, size: [1]}]", "1: files[0]: size must be one value"),
    ("name: 'a b'", '1: name: "a b" is not a name'),
    ("name: [a]", "1: name: must be one value, not a list"),
    ("logs: file", '1: logs: "file" is not a place for logs (use inherit or capture)'),
]]

BARE = [(f"cVMs:\n- name: a\n  runtime: bare\n  program: {program}\n  {more}\n", "pod.yaml:" + message) for program, more, message in [
    ("missing", "", "2: cVMs[0]: cannot read the bare program missing: No such file or directory (name a file of the host)"),
    ("pod.yaml", "", "2: cVMs[0]: pod.yaml is not a bare program: not an ELF file (build it with the SDK)"),
    ("fifo", "", "2: cVMs[0]: fifo is not a bare program: Exec format error"),
    ("/bin/true", "", "2: cVMs[0]: /bin/true is not a bare program: must have one code segment and one data segment"),
    ("bare", "root: /", "2: cVMs[0]: a bare cVM has no libOS, so root means nothing there (leave it out)"),
    ("bare", "volumes: ['/etc:/x']", "2: cVMs[0]: a bare cVM has no libOS, so volumes means nothing there"),
    ("bare", "tmpfs: /x", "2: cVMs[0]: a bare cVM has no libOS, so tmpfs"),
    ("bare", "cwd: /x", "2: cVMs[0]: a bare cVM has no libOS, so cwd"),
    ("bare", "bind: 80", "2: cVMs[0]: a bare cVM has no libOS, so bind, connect or net"),
    ("bare", "isolate_libos: true", "2: cVMs[0]: a bare cVM has no libOS, so isolate_libos"),
    ("bare", "listen: 80\n  ready: {port: 80}", "2: cVMs[0]: a bare cVM has no libOS that could tell that it listens (use ready: {exit: STATUS}, or leave it out)"),
    ("bare", "syscalls_to: b", "2: cVMs[0]: a bare cVM has no libOS, so syscalls_to"),
    ("bare", "net: any", "2: cVMs[0]: a bare cVM has no libOS, so bind, connect or net"),
]]

ORDER = [(A + text, "pod.yaml:" + message) for text, message in [
    ("  after: [b]", '2: cVMs[0]: it starts after "b", but no cVM has this name'),
    ("  after: a", "2: cVMs[0]: it starts after itself (the names under after go round in a circle)"),
    ("  after: b\n- {name: b, args: [x], after: c}\n- {name: c, args: [x], after: [b]}", "5: cVMs[1]: it starts after itself"),
    ("  after: [b, b]", '4: cVMs[0].after[1]: "b" is given twice (once is enough)'),
    ("  after: ['b b']", '4: cVMs[0].after[0]: "b b" is not a name'),
    ("  ready: yes", '4: cVMs[0].ready: "yes" is not a condition (use a map, for example {port: 6379, timeout: 10s})'),
    ("  ready: [port]", "4: cVMs[0].ready: must be one value, not a list"),
    ("  ready: {}", "4: cVMs[0].ready: must name one condition (port: N, port: unix:/PATH, file: PATH or exit: STATUS)"),
    ("  ready: {timeout: 1s}", "4: cVMs[0].ready: must name one condition"),
    ("  ready: {port: 1, exit: 0}", "4: cVMs[0].ready: must name one condition"),
    ("  ready: {stream: s}", '4: cVMs[0].ready: unknown key "stream" (ready has port, file or exit, and timeout)'),
    ("  ready: {port: 0}", '4: cVMs[0].ready: "0" is neither a port nor unix:/path (use 6379 or unix:/run/app.sock)'),
    ("  ready: {port: '*'}", '4: cVMs[0].ready: "*" is neither a port nor unix:/path'),
    ("  ready: {port: 127.0.0.1:80}", '4: cVMs[0].ready: "127.0.0.1:80" is neither a port nor unix:/path'),
    ("  ready: {port: unix:/}", "4: cVMs[0].ready: the socket's path is missing (use unix:/run/app.sock)"),
    ("  ready: {port: 6379}", "2: cVMs[0]: it is ready when it listens on port 6379, which is not granted (add it to its listen, or to its "
     "bind if it is reached from outside)"),
    ("  ready: {port: 6379}\n  bind: [6378, 6379/udp, 6380-6390]\n  connect: '*:*'\n  listen: [637, unix:/6379]",
     "2: cVMs[0]: it is ready when it listens on port 6379, which is not granted"),
    ("  ready: {port: unix:/run/a}\n  listen: [unix:/run/b]\n  net: any",
     "2: cVMs[0]: it is ready when it listens on unix:/run/a, which is not granted (add it to its listen)"),
    ("  ready: {exit: 256}", "4: cVMs[0].ready: 256 is out of range (use 0 to 255)"),
    ("  ready: {exit: 0, timeout: soon}", '4: cVMs[0].ready: "soon" is not a time (use 500ms, 10s, 2m)'),
    ("  ready: {exit: 0, timeout: 25h}", "4: cVMs[0].ready: 25h is too long (at most 24h)"),
    ("  ready: {exit: 0}\n  restart: always", "2: cVMs[0]: it is ready when it has ended, but restart is always (use on-failure)"),
    ("  restart: sometimes", '4: cVMs[0].restart: "sometimes" is not a restart policy (use never, on-failure, always, or on-failure:5'),
    ("  restart: never:5", '4: cVMs[0].restart: "never:5" is not a restart policy'),
    ("  restart: always:0", "4: cVMs[0].restart: 0 is out of range (use 1 to 1000000)"),
    ("  restart: on-failure:x", '4: cVMs[0].restart: "x" is not a number'),
    ("  restart_delay: -1s", '4: cVMs[0].restart_delay: "-1s" is not a time'),
    ("  stop_timeout: 1d", '4: cVMs[0].stop_timeout: "1d" is not a time'),
]]

SERVED = [(A + text, "pod.yaml:" + message) for text, message in [
    ("  syscalls_to: b", '2: cVMs[0]: its system calls go to "b", but no cVM has this name'),
    ("  syscalls_to: a", "2: cVMs[0]: its system calls go to itself (syscalls_to names another cVM)"),
    ("  syscalls_to: 'b b'", '4: cVMs[0].syscalls_to: "b b" is not a name'),
    ("  syscalls_to: [b]", "4: cVMs[0].syscalls_to: must be one value, not a list"),
    ("  syscalls_to: b\n- {name: b, args: [x], syscalls_to: a}",
     "2: cVMs[0]: its system calls never arrive (the names under syscalls_to go round in a circle)"),
    ("  syscalls_to: b\n- {name: b, args: [x], ready: {exit: 0}}",
     '2: cVMs[0]: its system calls go to "b", which is ready when it has ended (leave out its ready: exit)'),
    ("  syscalls_to: b\n- {name: b, args: [x], after: a}", "2: cVMs[0]: it starts after itself"),
    ("  syscalls_to: b\n- {name: b, args: [x]}\n- name: c\n  args: [x]\n  uses: [{call: 'sys*'}]",
     '8: cVMs[2].uses[0]: the call "syscalls/a" is for a and b alone, whose syscalls_to grants it (grant other names)'),
    ("  syscalls_to: b\n- {name: b, args: [x]}\n- name: c\n  args: [x]\n  provides: [{call: syscalls/a}]",
     '8: cVMs[2].provides[0]: the call "syscalls/a" is for a and b alone'),
    ("  syscalls_to: b\n  init: true\n- {name: b, args: [x]}", "2: cVMs[0]: a cVM with syscalls_to has one process, so init means nothing there"),
    ("  init: yes", '4: cVMs[0].init: "yes" is neither true nor false'),
    ("  syscalls_timeout: 5s", "2: cVMs[0]: syscalls_timeout belongs to syscalls_to"),
    ("  syscalls_to: b\n  syscalls_timeout: 0s", "5: cVMs[0].syscalls_timeout: no system call is served in no time (use 500ms, 10s, 2m)"),
    ("  syscalls_to: b\n  syscalls_timeout: soon", '5: cVMs[0].syscalls_timeout: "soon" is not a time'),
]]

YAML = [
    ("", "pod.yaml:1: the file is empty (it needs a list of cVMs: under the key cVMs)"),
    ("# only a comment\n", "pod.yaml:1: the file is empty"),
    ("hello", "pod.yaml:1: must be a map with the key cVMs"),
    ("- a", "pod.yaml:1: must be a map with the key cVMs"),
    ("{}", "pod.yaml:1: the key cVMs is missing"),
    ("cvms:\n- {name: a}", "pod.yaml:1: unknown key \"cvms\" (did you mean cVMs?)"),
    ("capfile: []\ncVMs: []", "pod.yaml:1: unknown key \"capfile\" (here are cVMs, files, name and logs)"),
    ("file: []\ncVMs: []", "pod.yaml:1: unknown key \"file\" (did you mean files?)"),
    ("volumes: []\ncVMs: []", "pod.yaml:1: unknown key \"volumes\" (here are cVMs, files, name and logs)"),
    ("cVMs:", "pod.yaml:1: cVMs: must be a list"),
    ("cVMs: {name: a}", "pod.yaml:1: cVMs: must be a list (one \"- name: ...\" for each cVM)"),
    ("cVMs: []", "pod.yaml:1: cVMs: the list is empty (describe at least one cVM)"),
    ("cVMs:\n- a", "pod.yaml:2: cVMs[0]: must be a map"),
    ("cVMs:\n- {name: a, args: [x]}\n- 5", "pod.yaml:3: cVMs[1]: must be a map"),
    ("cVMs:\n- name: a", "pod.yaml:2: cVMs[0]: no program (give program: /path, or args: [program, argument, ...])"),
    ("cVMs:\n- {name: a, args: []}", "pod.yaml:2: cVMs[0]: no program"),
    ("cVMs:\n- {name: a, program: []}", "pod.yaml:2: cVMs[0].program: the list is empty"),
    ("cVMs:\n- {name: a, program: ''}", "pod.yaml:2: cVMs[0].program: the program's name is empty"),
    ("cVMs:\n- {name: a, args: ['']}", "pod.yaml:2: cVMs[0]: the program's name is empty"),
    ("cVMs:\n- {name: a, args: [[x]]}", "pod.yaml:2: cVMs[0].args[0]: must be one value, not a list"),
    ("cVMs:\n- {name: a, args: [x, ~]}", "pod.yaml:2: cVMs[0].args[1]: has no value"),
    ("cVMs:\n- {name: a, program: [x, {b: c}]}", "pod.yaml:2: cVMs[0].program[1]: must be one value"),
    ("cVMs:\n- name: a\n  program: x\n\n\n\n  memory: 12Q", "pod.yaml:7: cVMs[0].memory: \"12Q\" is not a size (use 64M, 2G)"),
    ("cVMs:\n- name: a\n  program: x\n  memory: [1]", "pod.yaml:4: cVMs[0].memory: must be one value, not a list"),
    ("cVMs:\n- name: a\n  program: x\n  memory:", "pod.yaml:4: cVMs[0].memory: has no value (give one or leave the key out)"),
    ("cVMs:\n- name: a\n  memroy: 1G", "pod.yaml:3: cVMs[0]: unknown key \"memroy\" (did you mean memory?)"),
    ("cVMs:\n- name: a\n  volume: a", "pod.yaml:3: cVMs[0]: unknown key \"volume\" (did you mean volumes?)"),
    ("cVMs:\n- name: a\n  cpu-weight: 5", "(did you mean cpu_weight?)"),
    ("cVMs:\n- name: a\n  disk: a.img", "pod.yaml:3: cVMs[0]: unknown key \"disk\" (disk images are not read; name a directory with root)"),
    ("cVMs:\n- name: a\n  frobnicate: b", "pod.yaml:3: cVMs[0]: unknown key \"frobnicate\" (known: name, program"),
    ("cVMs:\n- name: a\n  callback_out: b", "pod.yaml:3: cVMs[0]: unknown key \"callback_out\" (use uses: with - call: NAME, or for system calls syscalls_to: NAME)"),
    ("cVMs:\n- name: a\n  callback_in: b", "pod.yaml:3: cVMs[0]: unknown key \"callback_in\" (use provides: with - call: NAME)"),
    ("cVMs:\n- name: a\n  isolation: []", "unknown key \"isolation\" (the Intravisor chooses the addresses; leave it out)"),
    ("cVMs:\n- name: a\n  wait: 5", "unknown key \"wait\" (to start in an order use after: [NAME], and ready: with a condition)"),
    ("cVMs:\n- name: a\n  runtime: libluker.so", "pod.yaml:3: cVMs[0].runtime: \"libluker.so\" is not a runtime (use libos, or bare for"),
] + GRANTS + FILES + BARE + ORDER + SERVED + [
    ("cVMs:\n- name: a\n  name: b", "pod.yaml:3: the key \"name\" is given twice (first in line 2)"),
    ("cVMs:\n- name: a\n  env: {A: 1, A: 2}", "pod.yaml:3: the key \"A\" is given twice"),
    ("cVMs:\n- {name: a, args: [x]}\n- {name: a, args: [x]}", "pod.yaml:3: cVMs[1]: the name \"a\" is used twice (give each cVM its own)"),
    ("cVMs:\n- {args: [x]}\n- {args: [/opt/x]}", "pod.yaml:3: cVMs[1]: the name \"x\" is used twice"),
    ("cVMs:\n- {args: [x], isolate_libos: maybe}", 'pod.yaml:2: cVMs[0].isolate_libos: "maybe" is neither true nor false'),
    ("cVMs:\n- {args: [x], isolate_libos: [true]}", "pod.yaml:2: cVMs[0].isolate_libos: must be one value"),
    ("cVMs:\n" + "".join(f"- {{name: c{i}, args: [x], isolate_libos: true}}\n" for i in range(7)),
     "pod.yaml:8: cVMs[6]: 7 cVMs, 7 of them with isolate_libos, need 14 protection keys of 13 (isolate fewer, or run two pods)"),
    ("cVMs:\n" + "- {args: [x]}\n" * 14, "pod.yaml:2: cVMs: 14 cVMs are too many (at most 13)"),
    ("cVMs:\n- name: a\n  env: [[A]]", "pod.yaml:3: cVMs[0].env[0]: must be one value, not a list"),
    ("cVMs:\n- name: a\n  env: {A: [1]}", "pod.yaml:3: cVMs[0].env: the value of A must be one value"),
    ("cVMs:\n- name: a\n  env: {'': 1}", "pod.yaml:3: cVMs[0].env: \"\" is not the name of a variable"),
    ("cVMs:\n- name: a\n  env: {A=B: 1}", "pod.yaml:3: cVMs[0].env: \"A=B\" is not the name of a variable"),
    ("cVMs:\n- name: a\n  ? [x]\n  : y", "pod.yaml:3: a key must be a word, not a list or a map"),
    ("cVMs:\n- name: a\n  trace: yes", "pod.yaml:3: cVMs[0].trace: \"yes\" is neither true nor false"),
    ("cVMs:\n- name: a\n  volumes: {host: /, guest: /x}", "pod.yaml:3: cVMs[0].volumes: must be a list, not a map"),
    ("cVMs:\n- name: a\n  volumes:\n  - /etc:/x\n  - {host: /etc}", "pod.yaml:5: cVMs[0].volumes[1]: guest is missing"),
    ("cVMs:\n- name: a\n  volumes:\n  - {guest: /x}", "pod.yaml:4: cVMs[0].volumes[0]: host is missing"),
    ("cVMs:\n- name: a\n  volumes:\n  - {host: /etc, guest: /x, readonly: true}", "unknown key \"readonly\" (a volume has host, guest and read_only)"),
    ("cVMs:\n- name: a\n  volumes:\n  - {host: /etc, guest: /x, read_only: 1}", "cVMs[0].volumes[0]: \"1\" is neither true nor false"),
    ("cVMs:\n- name: a\n  volumes:\n  - {host: [], guest: /x}", "cVMs[0].volumes[0]: host must be one value"),
    ("cVMs:\n- name: a\n  args: [x]\n  volumes:\n  - missing:/x", "pod.yaml:5: cVMs[0].volumes[0]: cannot find missing on the host"),
    ("cVMs:\n- name: a\n  args: [x]\n  root: missing", "pod.yaml:4: cVMs[0].root: cannot open the root directory missing"),
    ("cVMs:\n- name: a\n  bind: [80, '8080:80']", "pod.yaml:3: cVMs[0].bind[1]: \"8080:80\": ports are not translated"),
    ("cVMs:\n- name: a\n  connect: '*'", "pod.yaml:3: cVMs[0].connect: \"*\": the port is missing"),
    ("cVMs:\n- name: a\n  threads: 0x10", "pod.yaml:3: cVMs[0].threads: \"0x10\" is not a number"),
    ("cVMs:\n- name: a\n  cwd: .", "pod.yaml:3: cVMs[0].cwd: \".\" is not an absolute path"),
    ("a: &x 1\n", "pod.yaml:1: anchors (&x) are not supported (write the value out)"),
    ("a: *x\n", "pod.yaml:1: aliases (*x) are not supported (write the value out)"),
    ("a: !!str 1\n", "pod.yaml:1: tags (tag:yaml.org,2002:str) are not supported (leave it out)"),
    ("a: " + "[" * 5000, "pod.yaml:1: nested too deeply (at most 8 levels)"),
    ("a: " + "{b: " * 20, "pod.yaml:1: nested too deeply"),
    ("".join(f"{i:x}:\n" for i in range(150000)), "pod.yaml:1025: too many keys (at most 1024; env can be a list)"),
    ("cVMs:\n\t- name: a", "pod.yaml:2: not valid YAML: while scanning for the next token, found character that cannot start any token at "
     "column 1 (this is a tab: indent with spaces)"),
    ("cVMs:\n- name: a\n\tprogram: /bin/true", "at column 1 (this is a tab: indent with spaces)"),
    ("cVMs: @", "found character that cannot start any token at column 7\n"),
    ("cVMs: [", "not valid YAML: "),
    ("cVMs: 'open", "not valid YAML: "),
    ("a: b: c", "pod.yaml:1: not valid YAML: mapping values are not allowed in this context at column 5"),
    ("---\ncVMs: []\n---\ncVMs: []", "pod.yaml:3: a second document begins here"),
    (b"cVMs: \xff\xfe", "pod.yaml: not readable as text: "),
    (b"cVMs:\n- name: a\0b", "pod.yaml: not readable as text: "),
    ("cVMs:\n- name: \"a\\0b\"", "pod.yaml:2: a value contains a NUL byte"),
    ("#" * (1 << 20) + "\n", "pod.yaml: the configuration file is too large (at most 1 MiB)"),
    ("cVMs:\n- name: \"\\e[31m\"", "pod.yaml:2: cVMs[0].name: \"\\x1b[31m\" is not a name"),
]

# (whole command line, exit status, message)
COMMANDS = [
    ([], 2, "no command is given (run, ps, stop, ...; see intravisor --help)"),
    (["rum"], 2, "unknown command rum (did you mean run?)"),
    (["top", "pod"], 2, "there is no command top: use stats POD, or exec POD/CVM ps aux"),
    (["run", "-it", "x"], 2, "run: there is no option -i: leave it out: the program has this command's standard input, and its terminal"),
    (["run", "-d", "--rm", "x"], 2, "run: there is no option --rm: leave it out: nothing is left of a cVM that has ended"),
    (["run", "--network=host", "x"], 2, "run: there is no option --network: use --bind and --connect"),
    (["frobnicate"], 2, "unknown command frobnicate (run, ps, stop, ...;"),
    (["ps", "-x"], 2, "ps: unknown option -x (intravisor ps [--json] [POD])"),
    (["ps", "-f"], 2, "ps: unknown option -f"),
    (["ps", "a", "b"], 2, "ps: too many arguments: b"),
    (["ps", "a/b"], 2, "ps: not a pod: b"),
    (["ps", "a b"], 2, "ps: not POD or POD/CVM: a b"),
    (["ps", "../x"], 2, "ps: not a pod: x"),
    (["ps", "\x1b[2J"], 2, "ps: not POD or POD/CVM: \\x1b[2J"),
    (["ps", "pod"], 1, "/intravisor (intravisor ps lists those that run: one that has ended is gone)"),
    (["stats", "pod"], 1, "no pod is called pod"),
    (["logs"], 2, "logs: no pod is named (intravisor logs [-f] [-n LINES] POD/CVM)"),
    (["logs", "-n"], 2, "logs: the value is missing behind -n (intravisor logs [-f] [-n LINES] POD/CVM)"),
    (["logs", "-fn", "x", "pod/a"], 2, "logs: neither a number of lines nor all: x ("),
    (["logs", "--tail=", "pod/a"], 2, "logs: neither a number of lines nor all:  ("),
    (["logs", "--tail", "-1", "pod/a"], 2, "logs: neither a number of lines nor all: -1 ("),
    (["logs", "-n", "4294967296", "pod/a"], 2, "logs: neither a number of lines nor all: 4294967296 ("),
    (["logs", "-n5", "pod/a"], 1, "no pod is called pod"),
    (["logs", "-n", "all", "pod/a"], 1, "no pod is called pod"),
    (["logs", "pod/a"], 1, "no pod is called pod"),
    (["logs", "-"], 2, "logs: not POD or POD/CVM: - ("),
    (["logs", "--folow", "pod/a"], 2, "logs: unknown option --folow (did you mean --follow?)"),
    (["logs", "--"], 2, "logs: no pod is named ("),
    (["logs", "--", "-f"], 1, "no pod is called -f"),
    (["kill", "-sFROB", "pod/a"], 2, "kill: not a signal: FROB"),
    (["help", "frobnicate"], 2, "unknown command frobnicate"),
    (["logs", "pod/"], 2, "logs: not POD or POD/CVM: pod/"),
    (["kill"], 2, "kill: no pod is named"),
    (["kill", "-s"], 2, "kill: the value is missing behind -s"),
    (["stop", "--json", "pod"], 2, "stop: unknown option --json (intravisor stop [-t TIME] POD[/CVM])"),
    (["stop", "pod"], 1, "no pod is called pod"),
    (["start"], 2, "start: no pod is named (intravisor start POD/CVM)"),
    (["stop", "-t", "soon", "pod"], 2, "stop: not a time: soon ("),
    (["restart", "-t"], 2, "restart: the value is missing behind -t"),
    (["exec"], 2, "exec: no pod is named (intravisor exec [OPTIONS] POD/CVM PROGRAM [ARGUMENT...])"),
    (["exec", "--", "-i", "pod/a"], 125, "no pod is called -i"),
    (["exec", "a b", "sh"], 2, "exec: not POD or POD/CVM: a b"),
    (["exec", "pod/a"], 2, "exec: no program is named"),
    (["exec", "pod/a", "--"], 2, "exec: no program is named"),
    (["exec", "-j", "pod/a", "sh"], 2, "exec: unknown option -j"),
    (["exec", "-t", "pod/a", "sh"], 125, "exec: standard input is not a terminal, so the program cannot have one: leave out -t"),
    (["exec", "-it", "pod/a", "sh"], 125, "exec: standard input is not a terminal, so the program cannot have one: leave out -t"),
    (["exec", "-tie", "A=1", "pod/a", "sh"], 125, "exec: standard input is not a terminal"),
    (["exec", "-tx", "pod/a", "sh"], 2, "exec: unknown option -tx ("),
    (["exec", "-tw", "tmp", "pod/a", "sh"], 2, "exec: \"tmp\" is not an absolute path inside the cVM"),
    (["exec", "-w=tmp", "pod/a", "sh"], 2, "exec: \"=tmp\" is not an absolute path inside the cVM"),
    (["exec", "--wrkdir", "/tmp", "pod/a", "sh"], 2, "exec: unknown option --wrkdir (did you mean --workdir?)"),
    (["exec", "--tty=true", "pod/a", "sh"], 2, "exec: takes no value: --tty=true (intravisor exec "),
    (["exec", "-e"], 2, "exec: the value is missing behind -e"),
    (["exec", "-e", "=x", "pod/a", "sh"], 2, "exec: \"\" is not the name of a variable (use NAME=VALUE or NAME)"),
    (["exec", "-it", "--detach-keys", "ctrl-p,", "pod/a", "sh"], 2, 'exec: --detach-keys: "ctrl-p," is not a sequence of keys (use for example '
     'ctrl-p,ctrl-q, or "" for none)'),
    (["exec", "-it", "--detach-keys", "alt-x", "pod/a", "sh"], 2, 'exec: --detach-keys: "alt-x" is not a sequence of keys'),
    (["exec", "--detach-keys", "q", "pod/a", "sh"], 2, "exec: --detach-keys is for -i with -t (intravisor exec "),
    (["exec", "-t", "--detach-keys=", "pod/a", "sh"], 2, "exec: --detach-keys is for -i with -t (intravisor exec "),
    (["exec", "-dit", "pod/a", "sh"], 2, "exec: -d starts a program without input and terminal, so it cannot be combined with -i and -t ("),
    (["exec", "-d", "-i", "pod/a", "sh"], 2, "exec: -d starts a program without input and terminal"),
    (["exec", "-u", "root", "pod/a", "sh"], 2, 'exec: "root" is not UID or UID:GID (numbers, for example 1000:1000) (intravisor exec '),
    (["exec", "-u", "1:", "pod/a", "sh"], 2, 'exec: "1:" is not UID or UID:GID'),
    (["exec", "-u", "2147483648", "pod/a", "sh"], 2, 'exec: "2147483648" is not UID or UID:GID'),
    (["exec", "-u", "-1", "pod/a", "sh"], 2, 'exec: "-1" is not UID or UID:GID'),
    (["exec", "-u"], 2, "exec: the value is missing behind -u"),
    (["exec", "--env-file", "missing", "pod/a", "sh"], 2, "exec: cannot open the file of variables missing: No such file or directory ("),
    (["exec", "--env-file", "/", "pod/a", "sh"], 2, "exec: cannot read the file of variables /: Is a directory ("),
    (["exec", "-w", "tmp", "pod/a", "sh"], 2, "exec: \"tmp\" is not an absolute path inside the cVM"),
    (["exec", "pod/a", "sh"], 125, "/intravisor (intravisor ps lists those that run: one that has ended is gone)"),
    (["exec", "pod", "sh", "-c", "x"], 125, "no pod is called pod"),
    (["check", "x"], 2, "check: unknown argument x"),
    (["cache", "--clean"], 2, "cache: unknown argument --clean (intravisor cache [--clear])"),
]


class Failure(Exception):
    pass


def check(box, ran, status, message):
    code, out, err = ran
    if code != status:
        raise Failure(f"status {code} instead of {status}: {err}")
    if out or err.count("\n") != 1 or not err.startswith("intravisor: ") or message not in err:
        raise Failure(f"wanted one line with {message!r}, got\n{err!r}\nstdout {out!r}")
    if len(err) > 1400 or any(ord(c) < 32 and c not in "\n\t" for c in err):
        raise Failure(f"not fit for a terminal: {err!r}")
    if box.left_behind():
        raise Failure(f"processes are left: {box.left_behind()}")
    if os.listdir(box.home):
        raise Failure(f"files are left: {os.listdir(box.home)}")


def environments(box):
    """Cases whose environment is wrong: (name, function that returns what `check` needs)."""
    def without(name, message, status=125):
        def case():
            other = Box()
            os.unlink(os.path.join(other.bin, "intravisor-" + name))
            return other.run(*BASE, "x"), status, message
        return f"no {name}", case

    def libos(name, content, message):
        def case():
            other = Box()
            other.helper("libos", content)
            return other.run(*BASE, "x"), 125, message
        return f"libOS: {name}", case

    good = libos_elf()
    yield without("monitor", "intravisor-monitor-no-pkeys is neither in ")
    yield without("libos", "cannot read the libOS: ")
    yield libos("empty", b"", "Exec format error")
    yield libos("text", b"#!/bin/sh\n" * 20, "not an ELF file (build or install the Intravisor again)")
    yield libos("short", good[:50], "truncated")
    yield libos("cut", good[:6000], "truncated")
    yield libos("wrong place", libos_elf(vaddr=0xff000), "must have one code segment and one data segment")
    yield libos("writable code", libos_elf(flags=7), "must have one code segment and one data segment")
    yield libos("other machine", good[:18] + b"\xb7\0" + good[20:], "wrong machine (needs x86-64)")
    yield libos("32 bits", good[:4] + b"\x01" + good[5:], "32-bit executable")
    yield libos("no headers", good[:56] + b"\0\0" + good[58:], "bad program header table")

    def no_keys():
        if "ospke" in open("/proc/cpuinfo").read():
            return None
        return box.run("run", "x"), 125, "this machine has no protection keys (PKU), so cVMs cannot be isolated: use an "
    yield "no protection keys", no_keys

    def unreadable():
        path = box.file("secret.yaml", "cVMs: []")
        os.chmod(path, 0)
        ran = box.run(*BASE, "-y", "secret.yaml", **({"user": 65534, "group": 65534} if os.geteuid() == 0 else {}))
        return ran, 2, "secret.yaml: cannot open the configuration file: Permission denied"
    yield "unreadable YAML", unreadable

    def unwritable():
        path = box.file("theirs", "x")
        os.chmod(path, 0o444)
        if os.geteuid() != 0:
            return box.run(*BASE, "-v", "theirs:/x", "x"), 2, "(change its permissions or grant it :ro)"
        os.chmod(box.folder, 0o755)
        return (box.run(*BASE, "-v", "theirs:/x", "x", user=65534, group=65534), 2,
                "-v: cannot open theirs on the host: Permission denied (change its permissions or grant it :ro)")
    yield "unwritable volume", unwritable

    def no_errors_shown():
        process = subprocess.run([box.command, "run", "-m", "1Q", "x"], env=box.env, stderr=open("/dev/full", "w"))
        return (process.returncode, "", "intravisor: -\n"), 2, "-"
    yield "standard error is full", no_errors_shown

    def full_help():
        process = subprocess.run([box.command, "run", "--help"], env=box.env, stdout=open("/dev/full", "w"), stderr=subprocess.PIPE)
        return (process.returncode, "", process.stderr.decode()), 1, "cannot write to standard output: No space left on device"
    yield "standard output is full", full_help

    def full_check():
        process = subprocess.run([box.command, "check"], env=dict(box.env, HOME="/dev/null"), stdout=open("/dev/full", "w"), stderr=subprocess.PIPE)
        return (process.returncode, "", process.stderr.decode()), 1, "cannot write to standard output: No space left on device"
    yield "standard output is full, and something else is wrong or not", full_check


def main():
    box = Box()
    os.chmod(box.folder, 0o755)
    for folder in (box.bin, box.home, box.work):
        os.chmod(folder, 0o755)
    os.mkfifo(os.path.join(box.work, "fifo"))
    os.symlink("loop", os.path.join(box.work, "loop"))
    box.file("empty", "")
    box.file("bare", libos_elf())
    box.file("vars", "\n# C\nA=1\nexport B=2\n")
    box.file("noname", "=1")
    listener = socket.socket(socket.AF_UNIX)
    os.chdir(box.work)
    listener.bind("socket")
    cases = []
    for arguments, message in OPTIONS:
        if message is not None:
            cases.append((" ".join(arguments)[:60], lambda a=arguments, m=message: (box.run(*BASE, *a), 2, m)))
    for text, message in YAML:
        def case(text=text, message=message):
            box.file("pod.yaml", text)
            return box.run(*BASE, "-y", "pod.yaml"), 2, message
        cases.append((repr(text)[:60], case))
    for arguments, status, message in COMMANDS:
        cases.append((" ".join(arguments), lambda a=arguments, s=status, m=message: (box.run(*a), s, m)))
    cases += environments(box)
    box.file("pod.yaml", "")
    failed = skipped = 0
    for name, case in cases:
        try:
            outcome = case()
            if outcome is None:
                skipped += 1
                continue
            check(box, *outcome)
        except (Failure, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"FAIL {name}: {error}")
    print(f"{len(cases) - failed - skipped} passed, {failed} failed, {skipped} do not apply here")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
