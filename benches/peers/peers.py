#!/usr/bin/env python3
"""The same iteration of neural style transfer in pixgrad and in its peers, compared first and then timed.

See README.md for what is compared and how to run it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy
from PIL import Image
from safetensors.numpy import load_file

import by_burn
import by_torch

ROOT = Path(__file__).resolve().parents[2]
STYLE_LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]
CONTENT_LAYER = "relu4_1"
STYLE_WEIGHT, CONTENT_WEIGHT = 1000.0, 1.0
STEP = 0.02
# Relative differences beyond these mean that not the same thing is computed.
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-3, 1e-2


@dataclass
class Row:
    """Times of one program on one device, in milliseconds."""

    who: str
    device: str
    precision: str
    min_ms: float
    median_ms: float
    gradient_difference: float | None


@dataclass
class Task:
    """One iteration: the files that say what it is, and what pixgrad finds for it."""

    folder: Path
    weights: Path
    size: int
    losses: list[float]
    gradient: numpy.ndarray


def pictures(folder: Path, content: Path, style: Path, size: int) -> None:
    """Square pictures of the size asked for, so that no program has to resample them."""
    arrays = {}
    for name, path in (("content", content), ("style", style)):
        picture = Image.open(path).convert("RGB")
        side = min(picture.size)
        left, top = ((length - side) // 2 for length in picture.size)
        picture = picture.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.LANCZOS)
        picture.save(folder / f"{name}.png")
        arrays[name] = numpy.asarray(picture)
    # Half noise, so that no term is zero.
    noise = numpy.random.default_rng(0).integers(0, 256, arrays["content"].shape)
    arrays["start"] = ((arrays["content"] + noise) // 2).astype(numpy.uint8)
    Image.fromarray(arrays["start"]).save(folder / "start.png")
    for name, array in arrays.items():
        planes = (array.astype(numpy.float32) / 255.0).transpose(2, 0, 1)
        planes.tofile(folder / f"{name}.f32")


def recipe(folder: Path, weights: Path, size: int, iterations: int) -> Path:
    """The iteration as a recipe: plain terms, one scale, Adam."""
    layers = ", ".join(f'"{layer}"' for layer in STYLE_LAYERS)
    text = f"""
model = {json.dumps(str(weights))}
[image]
init = "start.png"
size = {size}
[[term]]
kind = "gram"
layers = [{layers}]
target = "style.png"
weight = {STYLE_WEIGHT}
[[term]]
kind = "content"
layers = ["{CONTENT_LAYER}"]
target = "content.png"
weight = {CONTENT_WEIGHT}
[optimizer]
kind = "adam"
step_size = {STEP}
iterations = {iterations}
"""
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def run_pixgrad(program: Path, *arguments: str) -> None:
    done = subprocess.run([program, *arguments, "--quiet"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"pixgrad {' '.join(arguments)}: {done.stderr.strip()}")


def task_of(program: Path, folder: Path, weights: Path, size: int) -> Task:
    """What pixgrad finds at the start picture, on its `cpu` device: what the peers are held against."""
    path = recipe(folder, weights, size, 1)
    found = folder / "gradient.safetensors"
    run_pixgrad(program, "grad", str(path), "-o", str(found), "--device", "cpu")
    tensors = load_file(found)
    losses = [float(tensors[f"term.{i}"].ravel()[0]) for i in range(2)]
    return Task(folder, weights, size, losses, tensors["gradient"])


def time_pixgrad(program: Path, task: Task, device: str, warm_up: int, runs: int) -> Row:
    path = recipe(task.folder, task.weights, task.size, warm_up + runs)
    trace = task.folder / "trace.json"
    run_pixgrad(
        program, "run", str(path), "--device", device, "--trace", str(trace), "-o", str(task.folder / "out.png")
    )
    told = json.loads(trace.read_text())
    first = told["iterations"][0]["terms"]
    check("pixgrad on " + device, first, task)
    return row("pixgrad", told["device"]["name"], "f32", [i["ms"] for i in told["iterations"]][warm_up:], None)


def row(who: str, device: str, precision: str, ms: list[float], difference: float | None) -> Row:
    return Row(who, device, precision, min(ms), float(numpy.median(ms)), difference)


def check(who: str, losses: list[float], task: Task, tolerance: float = LOSS_TOLERANCE) -> None:
    """Ends the comparison where a program computes something else."""
    for name, theirs, ours in zip(("style", "content"), losses, task.losses):
        if not abs(theirs - ours) <= tolerance * abs(ours):
            sys.exit(f"{who}: the {name} term is {theirs:.6e}, pixgrad's is {ours:.6e}: nothing is timed")


def difference(gradient: numpy.ndarray, task: Task) -> float:
    ours = task.gradient.reshape(gradient.shape)
    return float(numpy.linalg.norm(gradient - ours) / numpy.linalg.norm(ours))


def checked(peer: dict, task: Task) -> Row:
    """A peer's answer as a row. Reduced precision is told how far it is off, and not refused."""
    reduced = peer["precision"] != "f32"
    check(peer["who"], peer["losses"], task, 0.1 if reduced else LOSS_TOLERANCE)
    apart = difference(numpy.asarray(peer["gradient"], dtype=numpy.float32), task)
    if apart > GRADIENT_TOLERANCE and not reduced:
        sys.exit(f"{peer['who']}: the gradient differs by {apart:.1e}: nothing is timed")
    return row(peer["who"], peer["device"], peer["precision"], peer["ms"], apart)


def table(rows: list[Row]) -> str:
    """Every program, and how long it takes relative to pixgrad on the device named first."""
    base = rows[0].median_ms
    lines = [["program", "device", "precision", "min ms", "median ms", "of pixgrad's", "gradient differs by"]]
    for r in rows:
        apart = "-" if r.gradient_difference is None else f"{r.gradient_difference:.0e}"
        lines.append([r.who, r.device, r.precision, f"{r.min_ms:.1f}", f"{r.median_ms:.1f}",
                      f"{r.median_ms / base:.2f}", apart])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixgrad", type=Path, default=ROOT / "target/release/pixgrad", help="the program")
    parser.add_argument("--device", action="append", help="a device of pixgrad's; may be repeated [cpu]")
    parser.add_argument("--weights", type=Path, default=ROOT / "samples/models/vgg19.safetensors")
    parser.add_argument("--content", type=Path, default=ROOT / "samples/images/chelsea.png")
    parser.add_argument("--style", type=Path, default=ROOT / "samples/images/starry_night.jpg")
    parser.add_argument("--size", type=int, default=256, help="both sides in pixels")
    parser.add_argument("--runs", type=int, default=10, help="iterations that count")
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--reduced", action="store_true", help="also TF32 and f16 in PyTorch, on CUDA")
    parser.add_argument("--burn", action="append", default=[], choices=["wgpu", "ndarray"], help="burn's backends")
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures(folder, options.content, options.style, options.size)
        task = task_of(options.pixgrad, folder, options.weights.resolve(), options.size)
        rows = [
            time_pixgrad(options.pixgrad, task, device, options.warm_up, options.runs)
            for device in options.device or ["cpu"]
        ]
        for peer in by_torch.measure(task, options.warm_up, options.runs, options.reduced):
            rows.append(checked(peer, task))
        for backend in options.burn:
            rows.append(checked(by_burn.measure(task, backend, options.warm_up, options.runs), task))
    print(f"VGG-19 to {CONTENT_LAYER}, Gatys' terms, {options.size}x{options.size}")
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps({"size": options.size, "rows": [asdict(r) for r in rows]}, indent=2))


if __name__ == "__main__":
    main()
