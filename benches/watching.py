#!/usr/bin/env python3
"""What watching costs, end to end: one run of `style` alone and watched by two clients, in turn.

The clients run on the same machine, and where the run has the processor they take some of its time, too.
"""

import argparse
import json
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples/images"
CLIENTS, WARM_UP, PORT = 2, 5, 18800


def watch(stop: threading.Event, pictures: list[int]) -> None:
    """Follows the run's events as the page does, and fetches every picture that they tell of."""
    base = f"http://127.0.0.1:{PORT}/api/"
    while not stop.is_set():
        try:
            number = json.load(urllib.request.urlopen(base + "runs", timeout=5))[0]["number"]
            stream = urllib.request.urlopen(f"{base}events?run={number}", timeout=30)
            break
        except (OSError, IndexError):
            time.sleep(0.05)
    else:
        return
    try:
        for line in stream:
            told = json.loads(line[5:]) if line.startswith(b"data:") else None
            if isinstance(told, dict) and told.get("image"):
                urllib.request.urlopen(f"{base}runs/{number}/image?n={told['image']}", timeout=10).read()
                pictures.append(told["image"])
    except OSError:
        # The run is over, and its server with it.
        pass


def run(options: argparse.Namespace, watched: bool) -> float:
    """Milliseconds of the iterations that count."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, "trace.json")
        size = str(options.size)
        command = [options.pixgrad, "-q", "--device", options.device, "style", SAMPLES / "chelsea.png"]
        command += [SAMPLES / "starry_night.jpg", "-s", size, "--min-size", size, "-i", str(options.iterations)]
        command += ["-o", Path(folder, "out.png"), "--trace", trace]
        command += [f"--serve={PORT}"] if watched else []
        stop, pictures = threading.Event(), []
        clients = [threading.Thread(target=watch, args=(stop, pictures)) for _ in range(CLIENTS if watched else 0)]
        for client in clients:
            client.start()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        stop.set()
        for client in clients:
            client.join()
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        if watched and not pictures:
            raise SystemExit("no picture came: the run is too short")
        times = [iteration["ms"] for iteration in json.loads(trace.read_text())["iterations"]]
        return sum(times[WARM_UP:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixgrad", type=Path, default=ROOT / "target/release/pixgrad", help="the program")
    parser.add_argument("--device", default="cpu", help="a device of pixgrad's [cpu]")
    parser.add_argument("--size", type=int, default=512, help="long side in pixels [512]")
    parser.add_argument("--iterations", type=int, default=60, help="[60]")
    parser.add_argument("--rounds", type=int, default=6, help="runs of each kind [6]")
    options = parser.parse_args()
    times = {False: [], True: []}
    for index in range(options.rounds):
        # Each kind goes first as often.
        for watched in (index % 2 == 1, index % 2 == 0):
            times[watched].append(run(options, watched))
    for what, of in (("least", min), ("median", median)):
        alone, watched = of(times[False]), of(times[True])
        print(f"{what}: alone {alone:.0f} ms, watched {watched:.0f} ms, {100 * (watched / alone - 1):+.1f} %")


if __name__ == "__main__":
    main()
