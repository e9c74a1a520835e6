"""The iteration in burn, as the Rust program in `burn/` runs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy
from safetensors.numpy import load_file

MANIFEST = Path(__file__).resolve().parent / "burn" / "Cargo.toml"


def measure(task, backend: str, warm_up: int, runs: int) -> dict:
    """Builds and runs the program; what it tells is one line of JSON, the gradient is a file of its own."""
    # burn's program reads plain arrays: no format is left to be understood in two ways.
    for name, tensor in load_file(task.weights).items():
        tensor.astype(numpy.float32).tofile(task.folder / f"{name}.f32")
    command = ["cargo", "run", "--release", "--quiet", "--manifest-path", str(MANIFEST), "--no-default-features",
               "--features", backend, "--", str(task.folder), str(task.size), str(warm_up), str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"burn with {backend}: {done.stderr.strip()[-2000:]}")
    told = json.loads(done.stdout.strip().splitlines()[-1])
    told["gradient"] = numpy.fromfile(task.folder / "burn-gradient.f32", dtype=numpy.float32)
    return told
