#!/usr/bin/env python3
"""cores.py SERVER_PID COMMAND...: how many cores a command and the server that it talks to keep busy, from start to end.

One line: wall time, and for how long fewer than 1.5 cores worked, of samples of 25 ms. With CORES_SERIES set another line has
the cores in steps of 100 ms. It is Linux's accounting of threads, which lags behind by less than a sample.
"""

import os
import subprocess
import sys
import time

SAMPLE = 0.025


def worked(pid):
    """Nanoseconds of all threads of a process so far."""
    total = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                    total += int(file.read().split()[0])
            except OSError:
                pass
    except OSError:
        pass
    return total


def main():
    server, command = int(sys.argv[1]), sys.argv[2:]
    began = before = time.perf_counter()
    before_work = worked(server)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    samples = []
    while process.poll() is None:
        time.sleep(SAMPLE)
        own = worked(process.pid)
        now, work = time.perf_counter(), own + worked(server)
        if own == 0 or work < before_work:
            break
        samples.append((work - before_work) / 1e9 / (now - before))
        before, before_work = now, work
    process.wait()
    few = sum(cores < 1.5 for cores in samples) * SAMPLE
    print(f"{time.perf_counter() - began:.2f} {few:.2f}")
    if "CORES_SERIES" in os.environ:
        steps = [samples[at : at + 4] for at in range(0, len(samples), 4)]
        print(" ".join(f"{sum(step) / len(step):.1f}" for step in steps))
    return process.returncode


sys.exit(main())
