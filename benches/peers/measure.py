"""Leads contenders through a measurement and makes figures of what they noted.

A contender is a process. It says `ready` on standard output, then takes orders from standard input, a
line each: `FROM UNTIL` in nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share. Until
UNTIL it goes round: acquire, raise the shared counter, release. Then it writes its notes and says `done`.

A note is four 64-bit numbers, the times of one round: asked, entered, left, released. `entered` is taken
after acquire has returned, and `left` before release is called.
"""

import array
import mmap
import os
import select
import struct
import subprocess
import time
from pathlib import Path

ANSWER_SECONDS = 60
ALONE_SECONDS = 1.0
DISK_SECONDS = 0.5


class Contender:
    """One process that contends, as its leader sees it."""

    def __init__(self, command, directory, number):
        self.notes = directory / f"notes-{number}"
        self.log = open(directory / f"log-{number}", "wb")
        self.process = subprocess.Popen(
            [*command, str(number), str(self.notes), str(directory / "counter")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)

    def order(self, start, end):
        self.process.stdin.write(b"%d %d\n" % (start, end))
        self.process.stdin.flush()

    def answer(self, expected):
        said = b""
        limit = time.monotonic() + ANSWER_SECONDS
        while not said.endswith(expected + b"\n"):
            waiting = max(0, limit - time.monotonic())
            readable, _, _ = select.select([self.process.stdout], [], [], waiting)
            chunk = os.read(self.process.stdout.fileno(), 4096) if readable else b""
            if not chunk:
                log = Path(self.log.name).read_text(errors="replace")[-2000:]
                raise RuntimeError(f"a contender did not say {expected.decode()}: {log}")
            said += chunk

    def rounds(self):
        numbers = array.array("q", self.notes.read_bytes())
        return list(zip(*[iter(numbers)] * 4))

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


def measure(command, contenders, seconds, warm, directory):
    """The figures of one run: first one contender alone, then all of them.

    What the first `warm` seconds compile, connect or cache is not part of the figures.
    """
    (directory / "counter").write_bytes(bytes(8))
    processes = []
    try:
        for number in range(contenders):
            processes.append(Contender(command, directory, number))
            # The first may have to make what the others only find.
            if number == 0:
                processes[0].answer(b"ready")
        for process in processes[1:]:
            process.answer(b"ready")
        # The last one: where the first member has a special part, it is not the usual one.
        alone, window = contend(processes[-1:], ALONE_SECONDS, 1)
        before = len(alone[0])
        durations = [(entered - asked) + (released - left)
                     for asked, entered, left, released in alone[0]
                     if window[0] <= entered < window[1]]
        notes, window = contend(processes, seconds, warm)
    finally:
        for process in processes:
            process.end()
    counted = struct.unpack("q", (directory / "counter").read_bytes())[0]
    lost = before + sum(map(len, notes)) - counted
    return figures(notes, window) | {
        "uncontended_p50_us": percentile(durations, 50),
        "lost_updates": lost,
    }


def contend(processes, seconds, warm):
    start = time.monotonic_ns() + int(warm * 1e9)
    end = start + int(seconds * 1e9)
    for process in processes:
        process.order(start, end)
    for process in processes:
        process.answer(b"done")
    return [process.rounds() for process in processes], (start, end)


def figures(notes, window):
    """What the notes of all contenders say about the time of the window."""
    rounds = [(entered, left, asked, who) for who, mine in enumerate(notes)
              for asked, entered, left, _ in mine]
    rounds.sort()
    pairs = list(zip(rounds, rounds[1:]))
    # Overlaps count whenever they happened; all else only within the window.
    overlaps = sum(later[0] < earlier[1] for earlier, later in pairs)
    handoffs = [(earlier, later) for earlier, later in pairs
                if earlier[3] != later[3] and window[0] <= later[0] < window[1]]
    # Who asked after the release was not waited for: that time is its own.
    times = [later[0] - earlier[1] for earlier, later in handoffs if later[2] < earlier[1]]
    counts = [sum(window[0] <= note[1] < window[1] for note in mine) for mine in notes]
    seconds = (window[1] - window[0]) / 1e9
    return {
        "sections_per_s": round(sum(counts) / seconds, 1),
        "handoffs_per_s": round(len(handoffs) / seconds, 1),
        "handoff_p50_us": percentile(times, 50),
        "handoff_p99_us": percentile(times, 99),
        "fairness": round(max(counts) / min(counts), 3) if min(counts) else None,
        "sections_min": min(counts),
        "sections_max": max(counts),
        "overlaps": overlaps,
    }


def percentile(values, percent):
    """The value below which `percent` of the values lie, from nanoseconds to microseconds."""
    if not values:
        return None
    values = sorted(values)
    return round(values[min(len(values) * percent // 100, len(values) - 1)] / 1000, 1)


def file_system(directory):
    """The kind of file system that holds the directory."""
    found = subprocess.run(["stat", "--file-system", "--format=%T", directory],
                           capture_output=True, text=True, check=True)
    return found.stdout.strip()


def disk_syncs_per_s(directory):
    """How often one process can append to a file and wait for the disk: the bound of what is durable."""
    syncs, start = 0, time.monotonic()
    with open(directory / "sync", "wb", buffering=0) as file:
        while time.monotonic() < start + DISK_SECONDS:
            file.write(bytes(256))
            os.fdatasync(file.fileno())
            syncs += 1
    return round(syncs / (time.monotonic() - start), 1)


def take_part(lock, notes, counter):
    """A contender in Python: `lock` has `acquire` and `release`."""
    clock = time.monotonic_ns
    with open(counter, "r+b") as file:
        shared = mmap.mmap(file.fileno(), 8)
    print("ready", flush=True)
    while True:
        try:
            _, end = map(int, input().split())
        except EOFError:
            return
        kept = array.array("q")
        asked = clock()
        while asked < end:
            lock.acquire()
            entered = clock()
            # Not atomic on purpose: two inside at once lose an update.
            value = struct.unpack("q", shared[:8])[0]
            shared[:8] = struct.pack("q", value + 1)
            left = clock()
            lock.release()
            released = clock()
            kept.extend((asked, entered, left, released))
            asked = released
        Path(notes).write_bytes(kept.tobytes())
        print("done", flush=True)
