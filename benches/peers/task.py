"""What is compared: one iteration of Gatys' style transfer, and what pixgrad finds for it."""

import json
import re
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy
from PIL import Image
from safetensors.numpy import load_file



@dataclass(frozen=True)
class Network:
    """A network by pixgrad's name, and the layers that the terms read, in the order in which it has them."""

    name: str
    style_layers: tuple[str, ...]
    content_layer: str


NETWORKS = {
    network.name: network
    for network in (
        Network("vgg19", ("relu1_1", "relu2_1", "relu3_1", "relu4_1"), "relu4_1"),
        Network(
            "squeezenet1_1",
            ("relu_conv1", "fire2/concat", "fire3/concat", "fire4/concat", "fire5/concat", "fire7/concat"),
            "fire3/concat",
        ),
    )
}

STYLE_WEIGHT, CONTENT_WEIGHT = 1000.0, 1.0
STEP = 0.02
# Relative differences beyond these mean that not the same thing is computed. A unit within rounding of zero may be on
# in one program and off in another, and then a few pixels differ much. So there is a wide tolerance for all pixels and
# a narrow one for most.
LOSS_TOLERANCE, GRADIENT_TOLERANCE, PIXEL_TOLERANCE = 1e-3, 1e-2, 1e-4


@dataclass
class Task:
    """The files that say what the iteration is, and pixgrad's answer on its `cpu` device."""

    folder: Path
    network: Network
    weights: Path
    size: int
    mean: list[float]
    std: list[float]
    losses: list[list[float]]  # style and content, before the first step and after it
    gradient: numpy.ndarray


def prepare(
    program: Path, folder: Path, network: Network, weights: Path, content: Path, style: Path, size: int
) -> Task:
    pictures(folder, content, style, size)
    path, found = recipe(folder, network, weights, size, 2), folder / "gradient.safetensors"
    run(program, "grad", str(path), "-o", str(found), "--device", "cpu")
    tensors = load_file(found)
    losses = [trace_losses(i) for i in trace(program, path, "cpu")["iterations"]]
    check("pixgrad run against pixgrad grad", losses[:1], [[float(tensors[f"term.{i}"].item()) for i in range(2)]])
    mean, std = preprocessing(weights)
    return Task(folder, network, weights, size, mean, std, losses, tensors["gradient"])


def preprocessing(weights: Path) -> tuple[list[float], list[float]]:
    """Mean and standard deviation that the weights file names; torchvision's where it names none."""
    with weights.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        told = json.loads(file.read(length)).get("__metadata__", {}).get("preprocessing")
    told = told or "RGB/255 - mean(0.485,0.456,0.406), / std(0.229,0.224,0.225)"
    form = r"RGB/255(?:-mean\(([^)]*)\))?,?(?:/std\(([^)]*)\))?"
    found = re.fullmatch(form, "".join(told.split()))
    if not found:
        sys.exit(f"{weights}: its preprocessing `{told}` is not of the form that this comparison reads")
    mean, std = (
        [float(v) for v in (triple or default).split(",")]
        for triple, default in zip(found.groups(), ("0,0,0", "1,1,1"))
    )
    return mean, std


def pictures(folder: Path, content: Path, style: Path, size: int) -> None:
    """Square pictures of the size asked for, so that no program has to resample them, as PNG and as plain f32."""
    arrays = {}
    for name, path in (("content", content), ("style", style)):
        picture = Image.open(path).convert("RGB")
        side = min(picture.size)
        left, top = ((length - side) // 2 for length in picture.size)
        picture = picture.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.LANCZOS)
        arrays[name] = numpy.asarray(picture)
    # The content under half noise: at the content itself its term, and that term's gradient, would be 0.
    noise = numpy.random.default_rng(0).integers(0, 256, arrays["content"].shape)
    arrays["start"] = ((arrays["content"] + noise) // 2).astype(numpy.uint8)
    for name, array in arrays.items():
        Image.fromarray(array).save(folder / f"{name}.png")
        (array.astype(numpy.float32) / 255.0).transpose(2, 0, 1).tofile(folder / f"{name}.f32")


def recipe(folder: Path, network: Network, weights: Path, size: int, iterations: int) -> Path:
    """The iteration as a recipe: plain terms, one scale, Adam."""
    layers = ", ".join(f'"{layer}"' for layer in network.style_layers)
    path = folder / f"recipe-{iterations}.toml"
    path.write_text(f"""
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
layers = ["{network.content_layer}"]
target = "content.png"
weight = {CONTENT_WEIGHT}
[optimizer]
kind = "adam"
step_size = {STEP}
iterations = {iterations}
""")
    return path


def run(program: Path, *arguments: str) -> str:
    """What pixgrad prints."""
    done = subprocess.run([program, *arguments, "--quiet"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"pixgrad {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def trace(program: Path, path: Path, device: str, precision: str = "f32") -> dict:
    """Device, losses and times of a run of the recipe."""
    written = path.with_suffix(".json")
    options = ["--device", device, "--precision", precision, "--trace", str(written)]
    run(program, "run", str(path), *options, "-o", str(path.with_suffix(".png")))
    return json.loads(written.read_text())


def trace_losses(iteration: dict) -> list[float]:
    return [float(value) for value in iteration["terms"]]


def check(who: str, theirs: list[list[float]], ours: list[list[float]], tolerance: float = LOSS_TOLERANCE) -> None:
    """Ends the comparison where a program computes something else."""
    for when, pair, right in zip(("before the first step", "after it"), theirs, ours):
        for name, loss, expected in zip(("style", "content"), pair, right):
            if not abs(loss - expected) <= tolerance * abs(expected):
                sys.exit(
                    f"{who}: the {name} term {when} is {loss:.6e}, pixgrad's is {expected:.6e}: nothing is compared"
                )


def apart(gradient: numpy.ndarray, task: Task) -> tuple[float, float]:
    """How far a gradient is off, relative to the length of pixgrad's: all of it, and its median pixel."""
    ours = task.gradient.reshape(3, -1).astype(numpy.float64)
    pixels = numpy.square(gradient.reshape(3, -1) - ours).sum(axis=0)
    scale = numpy.square(ours).sum(axis=0).mean()
    return float(numpy.sqrt(pixels.mean() / scale)), float(numpy.sqrt(numpy.median(pixels) / scale))
