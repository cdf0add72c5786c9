"""Guest programs: every tests/guest/*.c runs natively and in a cVM, with the same output and exit status.

The comment that opens a file may hold:
  Build: KIND...      gcc (dynamic glibc, the default), static (glibc static PIE), musl, musl-static
  Args: WORDS         {dir} is an empty directory of the host, mounted at the same path in the cVM; {name} a word that no other
                      run of tests uses, for names that all of the host sees
  Options: WORDS      of `intravisor run`
  Stdin: TEXT
  Native: no          it only makes sense in a cVM: its last line must be "ok"
"""
import os
import shlex

from harness import ROOT, Test, compile_c, cvm_command, directives, expect, expect_same, run, scratch

FOLDER = os.path.join(ROOT, "tests/guest")
SMOKE = ("hello", "process_signal", "process_spawn", "threads_many", "signal_rules", "mmap_rules", "syscall_registers", "write_exec")  # also in the emulated machine
ISOLATED = SMOKE + ("code_out_of_line", "fs_data", "fs_limit", "fs_read_over", "fs_xattr", "ipc_epoll_wake", "ipc_events", "ipc_mqueue", "ipc_pipe", "ipc_sysv_msg",
                    "ipc_sysv_sem", "ipc_sysv_shm", "ipc_unix", "ipc_unix_room", "net_control", "net_epoll_threads", "net_udp", "pidfd", "proc_processes",
                    "process_blocked", "process_cpu_limit", "process_crash", "process_exec", "process_fork", "process_init", "process_race",
                    "process_sched", "process_share", "process_wait", "signal_frames", "signal_storm", "signal_timers", "thread_rules",
                    "tty_control", "tty_line")  # also with --isolate-libos


def said_by(source):
    return directives(source, ("build", "args", "options", "stdin", "native"))


def words(said, key, folder, name):
    return [w.replace("{dir}", folder).replace("{name}", name) for w in shlex.split(said.get(key, ""))]


def stdin_of(said):
    return said["stdin"].encode() + b"\n" if "stdin" in said else None


def in_cvm(source, kind, isolated, folder, name, intravisor=None):
    said, program = said_by(source), compile_c(source, kind)
    bin_dir = os.path.dirname(program)
    options = ["-v", f"{bin_dir}:{bin_dir}:ro", "-v", f"{folder}:{folder}", *words(said, "options", folder, name), *(["--isolate-libos"] if isolated else [])]
    command = cvm_command([program, *words(said, "args", folder, name)], ["-e", "LC_ALL=C", *options])
    return run([intravisor or command[0], *command[1:]], stdin=stdin_of(said))


def guest(source, kind, isolated=False):
    name = f"{os.path.basename(source)[:-2]}.{kind}" + (".isolated" if isolated else "")

    def test():
        said, word = said_by(source), os.urandom(4).hex()
        native_dir, cvm_dir = (scratch(f"guest-{name}-{which}") for which in ("native", "cvm"))
        ours = in_cvm(source, kind, isolated, cvm_dir, word)
        if said.get("native") == "no":
            expect(ours.status == 0 and ours.text().rstrip().endswith("ok"), "did not end with ok", ours)
            return
        native = run([compile_c(source, kind), *words(said, "args", native_dir, word)], stdin=stdin_of(said), cwd="/")
        native.out = native.out.replace(native_dir.encode(), cvm_dir.encode())
        expect_same(native, ours)
    return test


def sources():
    return [os.path.join(FOLDER, n) for n in sorted(os.listdir(FOLDER)) if n.endswith(".c")]


def kinds(source):
    return directives(source, ("build",)).get("build", "gcc").split()


def prepare():
    for source in sources():
        if is_smoke(source):
            compile_c(source, kinds(source)[0])


def is_smoke(source):
    return os.path.basename(source)[:-2] in SMOKE


def tests():
    return [Test(f"guest/{os.path.basename(s)[:-2]}.{kind}", guest(s, kind),
                 vm="too" if is_smoke(s) and kind == kinds(s)[0] else None)
            for s in sources() for kind in kinds(s)] + [
        Test(f"guest/{name}.isolated", guest(s, kinds(s)[0], isolated=True), vm="too" if name == "signal_rules" else None)
        for s in sources() for name in [os.path.basename(s)[:-2]] if name in ISOLATED]
