#!/usr/bin/env python3
"""The same iteration of neural style transfer in pixgrad and in its peers, compared first and then timed.

See README.md for what is compared and how to run it.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy

import by_burn
import task as common
from task import Task, check, prepare, recipe, run, trace, trace_losses

ROOT = Path(__file__).resolve().parents[2]

# How far the terms may be from pixgrad's in f32 where fewer bits are kept.
REDUCED_TOLERANCE = 0.1


@dataclass
class Row:
    """Times of one program on one device, in milliseconds."""

    who: str
    device: str
    kind: str  # `gpu`, `cpu`, or `software`: an adapter that is a program
    precision: str
    min_ms: float
    median_ms: float
    gradient_difference: float | None = None
    pixel_difference: float | None = None
    ratio: float | None = None


def kind_of(device: dict) -> str:
    """What a device of `pixgrad devices` is."""
    if device["backend"] == "cpu":
        return "cpu"
    return "software" if device["type"] == "cpu" else "gpu"


def time_pixgrad(options: argparse.Namespace, task: Task, device: str, precision: str) -> Row:
    path = recipe(task.folder, task.network, task.weights, task.size, options.warm_up + options.runs)
    told = trace(options.pixgrad, path, device, precision)
    tolerance = common.LOSS_TOLERANCE if precision == "f32" else REDUCED_TOLERANCE
    check("pixgrad on " + device, [trace_losses(i) for i in told["iterations"]], task.losses, tolerance)
    name, driver, kind = told["device"]["name"], told["device"]["driver"], kind_of(told["device"])
    ms = [iteration["ms"] for iteration in told["iterations"]][options.warm_up :]
    described = f"{name}, {driver}" if kind == "cpu" else name
    return row({"who": "pixgrad", "device": described, "kind": kind, "ms": ms, "precision": precision})


def row(told: dict) -> Row:
    ms = told["ms"]
    precision = told.get("precision", "f32")
    return Row(told["who"], told["device"], told["kind"], precision, min(ms), float(numpy.median(ms)))


def checked(peer: dict, task: Task) -> Row:
    """A peer's answer as a row. How far reduced precision is off is told, and refused only beyond a tenth."""
    made = row(peer)
    reduced = made.precision != "f32"
    check(made.who, peer["losses"], task.losses, REDUCED_TOLERANCE if reduced else common.LOSS_TOLERANCE)
    whole, pixel = common.apart(numpy.asarray(peer["gradient"], dtype=numpy.float32), task)
    if not reduced and not (whole <= common.GRADIENT_TOLERANCE and pixel <= common.PIXEL_TOLERANCE):
        sys.exit(
            f"{made.who}: the gradient is off by {whole:.1e}, its median pixel by {pixel:.1e}: nothing is compared"
        )
    made.gradient_difference, made.pixel_difference = whole, pixel
    return made


def rows_of(options: argparse.Namespace, task: Task) -> Iterator[Row]:
    for device in options.device:
        for precision in ["f32", "f16"] if options.reduced else ["f32"]:
            yield time_pixgrad(options, task, device, precision)
    if not options.no_torch:
        import by_torch  # here, so that `--no-torch` does not need it

        for answer in by_torch.measure(task, options.warm_up, options.runs, options.reduced):
            yield checked(answer, task)
    devices = json.loads(run(options.pixgrad, "devices", "--json"))["devices"] if options.burn else []
    adapters = [device for device in devices if device["backend"] != "cpu"]
    for backend in options.burn:
        try:
            kind, arguments = "cpu", ["flex"]
            if backend != "flex":
                adapter = by_burn.adapter(adapters, [name for name in options.device if name != "cpu"])
                kind, arguments = kind_of(adapter), by_burn.arguments(adapter, adapters)
            answer = by_burn.measure(task, backend, arguments, options.warm_up, options.runs)
        except (OSError, RuntimeError) as error:
            print(f"burn with {backend} does not run here: {error}", file=sys.stderr)
            continue
        yield checked({**answer, "kind": kind}, task)


def compare(rows: list[Row]) -> None:
    """How many times as long as pixgrad, on its fastest device of the same kind, every program takes."""
    for r in rows:
        exact = [own for own in rows if own.who == "pixgrad" and own.precision == "f32"]
        ours = [own.median_ms for own in exact if own.kind == r.kind]
        r.ratio = r.median_ms / min(ours) if ours else None


def table(rows: list[Row]) -> str:
    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    lines = [["program", "device", "precision", "min ms", "median ms", "ratio", "gradient off by", "median pixel"]]
    for r in rows:
        off = [number(value, ".0e") for value in (r.gradient_difference, r.pixel_difference)]
        times = [f"{r.min_ms:.1f}", f"{r.median_ms:.1f}", number(r.ratio, ".2f")]
        lines.append([r.who, r.device, r.precision, *times, *off])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixgrad", type=Path, default=ROOT / "target/release/pixgrad", help="the program")
    parser.add_argument("--device", action="append", help="a device of pixgrad's; may be repeated [cpu]")
    parser.add_argument("--network", choices=common.NETWORKS, default="vgg19", help="[vgg19]")
    parser.add_argument("--weights", type=Path, help="the network's [samples/models/NETWORK.safetensors]")
    parser.add_argument("--content", type=Path, default=ROOT / "samples/images/chelsea.png")
    parser.add_argument("--style", type=Path, default=ROOT / "samples/images/starry_night.jpg")
    parser.add_argument("--size", type=int, default=256, help="both sides in pixels [256]")
    parser.add_argument("--runs", type=int, default=10, help="iterations that count [10]")
    parser.add_argument("--warm-up", type=int, default=3, help="iterations before them [3]")
    parser.add_argument(
        "--reduced", action="store_true", help="also f16 in pixgrad, and on CUDA TF32 and f16 in PyTorch"
    )
    parser.add_argument("--no-torch", action="store_true", help="without PyTorch's rows")
    parser.add_argument(
        "--burn", action="append", default=[], choices=by_burn.BACKENDS, help="burn, too; may be repeated"
    )
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    options.device = options.device or ["cpu"]
    if options.burn and options.network != "vgg19":
        parser.error("burn's program has VGG-19 only")
    if options.runs < 1 or options.warm_up + options.runs < 2:
        parser.error("at least two iterations, one of which counts")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        network = common.NETWORKS[options.network]
        weights = (options.weights or ROOT / f"samples/models/{network.name}.safetensors").resolve()
        task = prepare(options.pixgrad, Path(name), network, weights, options.content, options.style, options.size)
        for made in rows_of(options, task):
            print(f"{made.who} on {made.device}, {made.precision}: {made.median_ms:.1f} ms", file=sys.stderr)
            rows.append(made)
    compare(rows)
    size = f"{options.size}x{options.size}"
    print(f"{network.name} to {network.style_layers[-1]}, Gatys' terms, {size}, {options.runs} iterations")
    print(table(rows))
    if options.json:
        result = {"network": network.name, "size": options.size, "rows": [asdict(r) for r in rows]}
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
