#!/usr/bin/env python3
"""What watching costs: one run of `style`, watched by two clients and left alone in turn, for some seconds each.

A block of time that is watched is held against the blocks before and after it, so that a machine that becomes slower
or faster does not count. Two figures are told: the time of an iteration, of which the clients take some, too, where the
run has the same processor, and (on Linux) the processor's time of the whole program for an iteration, which other
programs of the machine hardly change.
"""

import argparse
import json
import os
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from statistics import mean, median, stdev

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples/images"
CLIENTS, PORT = 2, 18800
BASE = f"http://127.0.0.1:{PORT}/api/"


def told() -> dict:
    """What the server says of the run."""
    return json.load(urllib.request.urlopen(BASE + "runs", timeout=10))[0]


def watch(stop: threading.Event, pictures: list[int]) -> None:
    """Follows the run's events as the page does, and fetches every picture that they tell of."""
    number = told()["number"]
    with urllib.request.urlopen(f"{BASE}events?run={number}", timeout=30) as stream:
        for line in stream:
            event = json.loads(line[5:]) if line.startswith(b"data:") else None
            if isinstance(event, dict) and event.get("image"):
                urllib.request.urlopen(f"{BASE}runs/{number}/image?n={event['image']}", timeout=10).read()
                pictures.append(event["image"])
            if stop.is_set():
                return


def processor_time(process: int) -> float:
    """Seconds that all threads of the process had the processor; not a number where /proc does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def block(process: int, seconds: float, watched: bool) -> tuple[float, float]:
    """Milliseconds of an iteration and of the processor for it, on an average of so many seconds."""
    stop, pictures = threading.Event(), []
    clients = [threading.Thread(target=watch, args=(stop, pictures)) for _ in range(CLIENTS if watched else 0)]
    for client in clients:
        client.start()
    time.sleep(1)
    begin, first, used = time.monotonic(), told()["iterations"], processor_time(process)
    time.sleep(seconds)
    end, last, used = time.monotonic(), told()["iterations"], processor_time(process) - used
    stop.set()
    for client in clients:
        client.join()
    if watched and not pictures:
        raise SystemExit("no picture came: the blocks are too short")
    if last == first:
        raise SystemExit("no iteration was made: the run is over, or the blocks are too short")
    return 1e3 * (end - begin) / (last - first), 1e3 * used / (last - first)


def tell(what: str, times: list[float]) -> None:
    """Holds the watched blocks, which are every second one, against their neighbours."""
    alone, watched = times[::2], times[1::2]
    more = [100 * (w / ((before + after) / 2) - 1) for before, w, after in zip(alone, watched, alone[1:])]
    error = stdev(more) / len(more) ** 0.5
    print(f"{what} of an iteration alone {mean(alone):.2f} ms, watched {mean(watched):.2f} ms (means)")
    print(f"watched it is more by: mean {mean(more):+.2f} % ± {error:.2f} %, median {median(more):+.2f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixgrad", type=Path, default=ROOT / "target/release/pixgrad", help="the program")
    parser.add_argument("--device", default="cpu", help="a device of pixgrad's [cpu]")
    parser.add_argument("--size", type=int, default=256, help="long side in pixels [256]")
    parser.add_argument("--seconds", type=float, default=8, help="of a block [8]")
    parser.add_argument("--blocks", type=int, default=12, help="blocks that are watched [12]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        size = str(options.size)
        command = [options.pixgrad, "-q", "--device", options.device, "style", SAMPLES / "chelsea.png"]
        command += [SAMPLES / "starry_night.jpg", "-s", size, "--min-size", size, "-i", "1000000"]
        command += ["-o", Path(folder, "out.png"), f"--serve={PORT}"]
        with subprocess.Popen(command) as run:
            try:
                # Until it iterates, and the first iterations, in which memory is new.
                time.sleep(10)
                blocks = [block(run.pid, options.seconds, index % 2 == 1) for index in range(2 * options.blocks + 1)]
            finally:
                run.kill()
    times, processor = zip(*blocks)
    tell("the time", times)
    tell("the processor's time", processor)


if __name__ == "__main__":
    main()
