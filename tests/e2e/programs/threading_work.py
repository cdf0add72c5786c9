"""threading: eight threads with queues, locks, events, a barrier and a pool."""
import hashlib
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

jobs, results, lock, total = queue.Queue(), {}, threading.Lock(), 0
barrier = threading.Barrier(8)


def work(number):
    global total
    barrier.wait()
    while (job := jobs.get()) is not None:
        digest = hashlib.sha256(bytes(100000) + job.to_bytes(4, "little")).hexdigest()
        with lock:
            results[job] = digest
            total += 1


threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
for thread in threads:
    thread.start()
for job in range(400):
    jobs.put(job)
for _ in threads:
    jobs.put(None)
for thread in threads:
    thread.join()
print(total, len(results), hashlib.sha256("".join(results[i] for i in range(400)).encode()).hexdigest())
event = threading.Event()
timer = threading.Timer(0.05, event.set)
timer.start()
print("event", event.wait(30))
timer.join()
with ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(lambda n: sum(range(n)), range(500))), threading.active_count() >= 1)
