"""Other programs from Python: subprocess (which uses vfork), posix_spawn, os.system and popen, asyncio, signals and errors.
"""
import asyncio
import os
import signal
import subprocess
import tempfile
import threading

PIPE = subprocess.PIPE


def said(*words, **how):
    ran = subprocess.run(words, stdout=PIPE, stderr=PIPE, **how)
    print(words[0], ran.returncode, ran.stdout, ran.stderr)


said("/bin/echo", "one", "two words", "")
said("false")
said("cat", input=b"through the child")
print(len(subprocess.check_output(["cat"], input=bytes(3_000_000))))
said("sh", "-c", "echo $A; pwd; exit 3", env={"A": "of the environment", "PATH": "/usr/bin:/bin"}, cwd="/usr")
print(subprocess.run("echo by a shell; exit 4", shell=True, stdout=PIPE, text=True))
print(subprocess.getstatusoutput("echo both; exit 2"))
for name in ("/nonexistent", "/etc/passwd", "/usr"):
    try:
        subprocess.run([name])
    except OSError as error:
        print(type(error).__name__, error.strerror, error.filename)
try:
    subprocess.run(["true"], cwd="/nonexistent")
except OSError as error:
    print(type(error).__name__, error.filename)
try:
    subprocess.run(["sleep", "1000"], timeout=0.05)
except subprocess.TimeoutExpired as late:
    print("late", late.cmd)
try:
    subprocess.check_call(["sh", "-c", "kill -USR1 $$"])
except subprocess.CalledProcessError as error:
    print(error.returncode, error)

with subprocess.Popen(["cat"], stdin=PIPE, stdout=PIPE) as child:
    print(child.poll(), os.getpgid(child.pid) == os.getpgrp(), child.pid != os.getpid())
    child.send_signal(signal.SIGSTOP)
    print(os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1]))
    child.send_signal(signal.SIGCONT)
    child.stdin.write(b"hello\n")
    child.stdin.flush()
    print(child.stdout.readline())
    child.terminate()
    print(child.wait())
first = subprocess.Popen(["seq", "1", "100000"], stdout=PIPE)
second = subprocess.Popen(["grep", "7"], stdin=first.stdout, stdout=PIPE)
third = subprocess.Popen(["wc", "-l"], stdin=second.stdout, stdout=PIPE)
first.stdout.close()
second.stdout.close()
print(third.communicate()[0], first.wait(), second.wait())
child = subprocess.Popen(["yes"], stdout=PIPE)
print(child.stdout.read(6))
child.stdout.close()
print("broken pipe", child.wait())
with subprocess.Popen(["sleep", "1000"], start_new_session=True) as child:
    print(os.getsid(child.pid) == child.pid)
    os.killpg(child.pid, signal.SIGKILL)
with tempfile.TemporaryFile() as file:
    subprocess.run(["/bin/echo", "to a file"], stdout=file, check=True)
    subprocess.run(["sh", "-c", f"echo by number >&{file.fileno()}"], pass_fds=[file.fileno()], check=True)
    said("sh", "-c", f"echo closed >&{file.fileno()} || exit 6", stdin=PIPE)
    file.seek(0)
    print(file.read())
with subprocess.Popen(["sh", "-c", "echo out; echo err >&2"], stdout=PIPE, stderr=subprocess.STDOUT) as child:
    print(child.stdout.read())

read, write = os.pipe()
pid = os.posix_spawn("/bin/sh", ["sh", "-c", "echo spawned; exit 7"], {}, file_actions=[
    (os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, write)], setsigmask=[signal.SIGUSR1], setpgroup=0)
os.close(write)
print(os.read(read, 100), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(os.waitstatus_to_exitcode(os.system("exit 8")))
with os.popen("echo read") as child:
    print(child.read())
pid = os.posix_spawnp("true", ["true"], os.environ)
print(os.waitid(os.P_PID, pid, os.WEXITED).si_status)
try:
    os.wait()
except ChildProcessError as error:
    print(error.strerror)


def ten(results):
    for i in range(10):
        results.append(subprocess.run(["sh", "-c", f"exit {i}"]).returncode)


results = [[] for _ in range(4)]
threads = [threading.Thread(target=ten, args=(r,)) for r in results]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(results)


async def one(number):
    child = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    out, _ = await child.communicate(b"%d" % number)
    return int(out) * 2 + child.returncode


async def many():
    print(sum(await asyncio.gather(*(one(i) for i in range(30)))))
    child = await asyncio.create_subprocess_shell("sleep 1000")
    child.kill()
    print(await child.wait())
    child = await asyncio.create_subprocess_exec("seq", "5", stdout=PIPE)
    print([line async for line in child.stdout], await child.wait())


asyncio.run(many())
