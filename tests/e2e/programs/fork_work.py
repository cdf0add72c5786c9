"""Python's ways to processes that are copies of the interpreter."""
import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys
import threading

big = list(range(300000))


def square(n):
    return n * n, sum(big[:n])


def put(queue, n):
    for i in range(20):
        queue.put((n, i, "x" * (i * 100)))


def count(value, lock):
    for _ in range(50):
        with lock:
            value.value += 1


def talk(connection):
    while (got := connection.recv()) is not None:
        connection.send(got[::-1])
    connection.close()


def fails(n):
    raise ValueError(f"no {n}")


def forks():
    r, w = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(r)
        big[0] = 42
        os.write(w, f"child {big[0]} {sum(big)}\n".encode())
        os._exit(3)
    os.close(w)
    with open(r) as f:
        print(f.read().strip(), "parent", big[0], os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    pids = []
    for i in range(8):
        pid = os.fork()
        if not pid:
            os._exit(i)
        pids.append(pid)
    print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
    pid = os.fork()
    if not pid:
        signal.pause()
    os.kill(pid, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def pools():
    with multiprocessing.Pool(3) as pool:
        print(pool.map(square, range(0, 1000, 97)))
        print(sum(pool.imap_unordered(len, ["x" * n for n in range(300)])))
        try:
            pool.apply(fails, (5,))
        except ValueError as error:
            print("an error of a child:", error)
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        print(list(executor.map(square, range(10))), executor.submit(pow, 3, 1000).result() % 1000007)


def run_all(target, arguments):
    children = [multiprocessing.Process(target=target, args=a) for a in arguments]
    for child in children:
        child.start()
    return children


def join_all(children):
    for child in children:
        child.join()
    return [child.exitcode for child in children]


def shared():
    queue = multiprocessing.Queue()
    children = run_all(put, [(queue, n) for n in range(3)])
    got = sorted(queue.get() for _ in range(60))
    print(len(got), got[-1][:2], join_all(children))
    value, lock = multiprocessing.Value("i", 0), multiprocessing.Lock()
    print(join_all(run_all(count, [(value, lock)] * 4)), value.value)
    ours, theirs = multiprocessing.Pipe()
    children = run_all(talk, [(theirs,)])
    for text in ("abc", "x" * 100000):
        ours.send(text)
        print(ours.recv() == text[::-1])
    ours.send(None)
    join_all(children)
    with multiprocessing.Manager() as manager:
        d = manager.dict(a=1)
        d["b"] = [1, 2]
        print(dict(d))


def commands():
    print(subprocess.run(["sh", "-c", "echo $0; pwd; exit 4"], preexec_fn=lambda: os.chdir("/usr"), capture_output=True, text=True))
    p = subprocess.Popen(["sort", "-n"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    print(p.communicate("10\n9\n8\n")[0].split(), p.returncode)
    try:
        subprocess.run(["sleep", "100"], timeout=0.2)
    except subprocess.TimeoutExpired:
        print("in time")
    try:
        subprocess.run(["true"], preexec_fn=lambda: fails(1))
    except subprocess.SubprocessError as error:
        print(error)
    print(os.popen("seq 5 | tail -n 2").read().split(), os.system("exit 3") >> 8)


def with_threads():
    """Of a process's threads the child has the one that forked."""
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    pid = os.fork()
    if not pid:
        os._exit(threading.active_count() * 16 + len(os.listdir("/proc/self/task")))
    print("threads:", threading.active_count(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    stop.set()
    for thread in threads:
        thread.join()


for part in (forks, pools, shared, commands, with_threads):
    part()
    sys.stdout.flush()
