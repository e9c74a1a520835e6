#!/usr/bin/env python3
"""An iteration of class visualisation in pixgrad and in PyTorch: the score of a class, its gradient, a step of Adam.

The networks are torchvision's with random weights, the same in both. See README.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy
import torch
import torchvision
from PIL import Image
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASS, STEP = 7, 0.02
# Beyond these not the same is computed. A unit within rounding of a kink changes the gradient of the few pixels that
# it sees, so that the median pixel is held more narrowly than the whole.
SCORE_TOLERANCE, GRADIENT_TOLERANCE, PIXEL_TOLERANCE = 1e-4, 3e-2, 1e-3


def network(name: str) -> torch.nn.Module:
    """Random weights, and normalizations that keep the size of activations as those of a trained network do."""
    torch.manual_seed(1)
    made = getattr(torchvision.models, name)(weights=None)
    norms = [module for module in made.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        made.train()(torch.randn(4, 3, 224, 224))
    made.eval().requires_grad_(False)
    return made


class Iteration:
    def __init__(self, made: torch.nn.Module, start: numpy.ndarray, channels_last: bool, compiled: bool) -> None:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.network = made.to(memory_format=layout)
        self.mean, self.std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
        planes = torch.from_numpy(start.astype(numpy.float32) / 255.0).permute(2, 0, 1)[None]
        self.image = planes.contiguous(memory_format=layout).requires_grad_(True)
        self.adam = torch.optim.Adam([self.image], lr=STEP)
        self.score = torch.compile(self.term) if compiled else self.term

    def term(self, image: torch.Tensor) -> torch.Tensor:
        return -self.network((image - self.mean) / self.std)[0, CLASS]

    def step(self) -> float:
        self.adam.zero_grad(set_to_none=True)
        score = self.score(self.image)
        score.backward()
        self.adam.step()
        with torch.no_grad():
            self.image.clamp_(0, 1)
        return float(score.detach())


def ours(program: Path, folder: Path, device: str, iterations: int, warm_up: int) -> tuple[list[float], dict]:
    """Times of pixgrad's iterations in milliseconds, and score and gradient of the first."""
    recipe = folder / "recipe.toml"
    recipe.write_text(f"""
model = "network.pth"
preprocessing = "torchvision"
[image]
init = "start.png"
[[term]]
kind = "logit"
class = {CLASS}
weight = -1.0
[optimizer]
kind = "adam"
step_size = {STEP}
iterations = {iterations}
""")

    def run(*arguments: str) -> None:
        done = subprocess.run([program, "-q", "--device", device, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"pixgrad {arguments[0]}: {done.stderr.strip()}")

    run("grad", str(recipe), "-o", str(folder / "gradient.safetensors"))
    trace = folder / "trace.json"
    run("run", str(recipe), "--trace", str(trace), "-o", str(folder / "out.png"))
    times = [float(iteration["ms"]) for iteration in json.loads(trace.read_text())["iterations"]]
    return times[warm_up:], load_file(folder / "gradient.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixgrad", type=Path, default=ROOT / "target/release/pixgrad", help="the program")
    parser.add_argument("--device", default="cpu", help="a device of pixgrad's [cpu]")
    parser.add_argument("--network", action="append", help="torchvision's name; may be repeated [mobilenet_v2, resnet50]")
    parser.add_argument("--size", type=int, default=224, help="both sides in pixels [224]")
    parser.add_argument("--runs", type=int, default=20, help="iterations that count [20]")
    parser.add_argument("--warm-up", type=int, default=5, help="iterations before them [5]")
    options = parser.parse_args()
    picture = Image.open(ROOT / "samples/images/chelsea.png").convert("RGB").resize((options.size, options.size))
    start = numpy.asarray(picture)
    for name in options.network or ["mobilenet_v2", "resnet50"]:
        print(f"{name}, {options.size}x{options.size}, score of class {CLASS}, {options.runs} iterations")
        made = network(name)
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            picture.save(folder / "start.png")
            torch.save(made.state_dict(), folder / "network.pth")
            count = options.warm_up + options.runs
            times, found = ours(options.pixgrad, folder, options.device, count, options.warm_up)
        print(f"  pixgrad, {options.device}: min {min(times):.1f} ms, median {median(times):.1f} ms")
        base = median(times)
        for label, channels_last, compiled in (
            ("eager", False, False),
            ("eager, channels_last", True, False),
            ("compiled", False, True),
        ):
            torch.compiler.reset()
            iteration = Iteration(made, start, channels_last, compiled)
            try:
                score = iteration.step()
            except Exception as error:
                print(f"  PyTorch {torch.__version__} {label}: does not work here: {str(error).splitlines()[0]}")
                continue
            gradient = iteration.image.grad.numpy()[0]
            g = found["gradient"].reshape(gradient.shape)
            pixels = numpy.square(gradient - g).sum(0)
            scale = numpy.square(g).sum(0).mean()
            off, typical = (float(numpy.sqrt(v / scale)) for v in (pixels.mean(), numpy.median(pixels)))
            expected = float(found["loss"].item())
            if abs(score - expected) > SCORE_TOLERANCE * abs(expected) or off > GRADIENT_TOLERANCE or typical > PIXEL_TOLERANCE:
                sys.exit(f"not the same is computed: {score} and {expected}, gradient off by {off:.1e}, {typical:.1e}")
            times = []
            for _ in range(options.warm_up + options.runs):
                begin = time.perf_counter()
                iteration.step()
                times.append((time.perf_counter() - begin) * 1e3)
            times = times[options.warm_up :]
            print(
                f"  PyTorch {torch.__version__} {label}: min {min(times):.1f} ms, median {median(times):.1f} ms,"
                f" ratio {median(times) / base:.2f}, gradient off by {off:.0e}, median pixel {typical:.0e}"
            )


if __name__ == "__main__":
    main()
