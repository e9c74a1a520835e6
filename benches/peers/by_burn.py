"""The iteration in burn, as the Rust program in `burn/` runs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy
from safetensors.numpy import load_file

from task import Task

MANIFEST = Path(__file__).resolve().parent / "burn" / "Cargo.toml"
VERSION = "0.22.0"
# What cargo is told for each.
BACKENDS = {
    "wgpu": ["--features", "wgpu"],
    "wgpu-plain": ["--features", "wgpu", "--no-default-features"],
    "vulkan": ["--features", "vulkan"],
    "flex": ["--features", "flex"],
}


def adapter(adapters: list[dict], wanted: list[str]) -> dict:
    """The first adapter that pixgrad was asked for, else the first there is."""
    for name in wanted:
        for found in adapters:
            if name == str(found["index"]) or name.lower() in found["name"].lower():
                return found
    if not adapters:
        raise RuntimeError("there is no adapter")
    return adapters[0]


def arguments(chosen: dict, adapters: list[dict]) -> list[str]:
    """The adapter as burn counts: its type, and which one of that type."""
    alike = [a for a in adapters if (a["type"], a["backend"]) == (chosen["type"], chosen["backend"])]
    return [chosen["type"].removesuffix("-gpu"), str(alike.index(chosen))]


def measure(task: Task, backend: str, device: list[str], warm_up: int, runs: int) -> dict:
    """Builds and runs the program; what it tells is one line of JSON, the gradient is a file of its own."""
    # burn's program reads plain arrays: no format is left to be understood in two ways.
    arrays = {**load_file(task.weights), "mean": numpy.array(task.mean), "std": numpy.array(task.std)}
    for name, array in arrays.items():
        array.astype(numpy.float32).tofile(task.folder / f"{name}.f32")
    cargo = ["--release", "--quiet", "--manifest-path", str(MANIFEST), *BACKENDS[backend]]
    print(f"building burn {VERSION} with {backend}, many minutes the first time", file=sys.stderr)
    execute(["cargo", "build", *cargo])
    told = execute(["cargo", "run", *cargo, "--", str(task.folder), str(task.size), str(warm_up), str(runs), *device])
    answer = json.loads(told.strip().splitlines()[-1])
    gradient = numpy.fromfile(task.folder / "burn-gradient.f32", dtype=numpy.float32)
    return {**answer, "who": f"burn {VERSION} {backend}", "gradient": gradient}


def execute(command: list[str]) -> str:
    """What the command prints; an error with the last of its complaints where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=MANIFEST.parent)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-1000:] or f"{command[0]} ended with {done.returncode}")
    return done.stdout
