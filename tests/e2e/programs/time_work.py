"""Time: clocks go forward, sleeps take as long as they should at least, timers fire."""
import os
import resource
import signal
import time

a, b = time.monotonic_ns(), time.monotonic_ns()
print(b >= a, abs(time.time() - time.clock_gettime(time.CLOCK_REALTIME)) < 5, time.clock_getres(time.CLOCK_MONOTONIC) < 1e-3)
start = time.monotonic()
time.sleep(0.05)
print(time.monotonic() - start >= 0.05)
fired = []
signal.signal(signal.SIGALRM, lambda *_: fired.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
while len(fired) < 3:
    signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(fired) >= 3)
before = time.process_time()
sum(range(2_000_000))
print(time.process_time() > before, resource.getrusage(resource.RUSAGE_SELF).ru_utime > 0)
print(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(1_000_000_000)), os.times().user >= 0)
