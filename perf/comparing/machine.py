# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes: how they are started and ended, and what they cost, as the kernel tells it."""

import ctypes
import os
import signal
import socket
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1


def describe():
    """One line that names the machine."""
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    kernel = os.uname()
    return f"{model}, {os.cpu_count()} cores, {kernel.sysname} {kernel.release} {kernel.machine}"


def free_port(address="127.0.0.1"):
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, seconds=15.0):
    """Until somebody accepts at the port. Raises when the process ends first or the time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"ended at once with status {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"does not listen after {seconds:.0f} s")


def start(words, log, core=None, **how):
    """Starts a program in a process group of its own; it ends with us. `core`: where it must stay."""
    libc = ctypes.CDLL(None)

    def prepare():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if core is not None:
            os.sched_setaffinity(0, {core})

    how.setdefault("stdin", subprocess.DEVNULL)
    how.setdefault("stdout", log)
    how.setdefault("stderr", log)
    return subprocess.Popen(words, preexec_fn=prepare, start_new_session=True, **how)


def end(process, seconds=5.0):
    """Asks the program to end; what is left of it then is killed, by pid."""
    members = tree(process.pid)
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pid in members:
        if pid != process.pid and started_at(pid) == members[pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def stat_fields(pid):
    """The fields of /proc/PID/stat after the name; None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rsplit(")", 1)[1].split()
    except OSError:
        return None


def started_at(pid):
    fields = stat_fields(pid)
    return fields[19] if fields else None


def tree(root):
    """A process and all that descend from it: {pid: start time}."""
    children = {}
    started = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        fields = stat_fields(name)
        if fields:
            children.setdefault(int(fields[1]), []).append(int(name))
            started[int(name)] = fields[19]
    found = {}
    todo = [root]
    while todo:
        pid = todo.pop()
        if pid in started and pid not in found:
            found[pid] = started[pid]
            todo += children.get(pid, [])
    return found


def cpu_seconds(root):
    """CPU of a program so far: all threads (io_uring's kernel workers are among them), children, ended children.

    Nanoseconds from each task's schedstat. /proc/PID/stat counts in ticks, but it also knows threads that have ended;
    where it says clearly more, it is believed.
    """
    total = 0.0
    for pid in tree(root):
        fine = 0
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as schedstat:
                    fine += int(schedstat.read().split()[0])
        except OSError:
            pass
        fields = stat_fields(pid)
        if fields is None:
            continue
        coarse = (int(fields[11]) + int(fields[12])) / TICK
        total += max(fine / 1e9, coarse - 2 / TICK)
        total += (int(fields[13]) + int(fields[14])) / TICK
    return total


def memory_bytes(root):
    """(PSS, private dirty) of a program, summed over its processes."""
    pss = dirty = 0
    for pid in tree(root):
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
                for line in rollup:
                    if line.startswith("Pss:"):
                        pss += int(line.split()[1]) * 1024
                    elif line.startswith("Private_Dirty:"):
                        dirty += int(line.split()[1]) * 1024
        except OSError:
            pass
    return pss, dirty
