#!/usr/bin/env python3
"""How near the kernels of imported networks come to a device's limits.

Each is held against the device's copy and its rate of f32, both measured in the same run; the nearer one counts.

It writes an ONNX network with one layer of each kind, measures it with `pixgrad bench` and prints for each kernel the
least and the most share among its calls. Needs `pip install onnx numpy`.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

ROOT = Path(__file__).resolve().parents[1]
CHANNELS = 64
# Calls that take less are mostly the time of a dispatch.
LEAST_MS = 1.0


class Builder:
    """A chain of nodes, each of which reads the one before it."""

    def __init__(self) -> None:
        self.nodes, self.constants, self.last, self.random = [], [], "x", np.random.default_rng(1)

    def weights(self, *shape: int) -> str:
        """Uniform weights that keep the size of the values."""
        spread = (3 / max(1, np.prod(shape[1:]))) ** 0.5
        return self.constant(self.random.uniform(-spread, spread, shape).astype(np.float32))

    def constant(self, value: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def add(self, operator: str, *more: str, first: str = "", **attributes) -> str:
        name = f"{operator}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [first or self.last, *more], [name], name=name, **attributes))
        self.last = name
        return name

    def conv(self, cin: int, kernel: int, groups: int = 1, **attributes) -> str:
        weights = self.weights(CHANNELS, cin // groups, kernel, kernel)
        pads = [kernel // 2] * 4
        bias = self.constant(np.zeros(CHANNELS, np.float32))
        return self.add("Conv", weights, bias, group=groups, pads=pads, **attributes)


def network(path: Path) -> None:
    """A network with a layer of each kind; every change of resolution comes after a ReLU, which style reads."""
    one = Builder()
    scale, shift = np.ones(CHANNELS, np.float32), np.zeros(CHANNELS, np.float32)
    one.conv(3, 3)
    trunk = one.add("Relu")
    one.conv(CHANNELS, 3, groups=CHANNELS)
    one.add("Gelu")
    one.conv(CHANNELS, 3, groups=8)
    one.add("Clip", one.constant(np.array(0, np.float32)), one.constant(np.array(6, np.float32)))
    one.conv(CHANNELS, 5, groups=CHANNELS)
    one.add("HardSwish")
    one.conv(CHANNELS, 1, groups=4)
    one.add("PRelu", one.constant(np.full((CHANNELS, 1, 1), 0.2, np.float32)))
    # The channels of ShuffleNet change places.
    one.add("Reshape", one.ints(0, 8, CHANNELS // 8, -1))
    one.add("Transpose", perm=[0, 2, 1, 3])
    one.add("Reshape", one.ints(0, CHANNELS, 128, 128))
    one.add("GroupNormalization", one.constant(scale), one.constant(shift), num_groups=8)
    one.add("Transpose", perm=[0, 2, 3, 1])
    one.add("LayerNormalization", one.constant(scale), one.constant(shift), axis=-1)
    normal = one.add("Transpose", perm=[0, 3, 1, 2])
    # Squeeze and excitation.
    one.add("GlobalAveragePool")
    gate = one.add("Sigmoid")
    gated = one.add("Mul", gate, first=normal)
    one.add("GlobalMaxPool")
    one.add("Sigmoid")
    one.add("Mul", gated)
    one.add("Add", trunk)
    one.add("Max", trunk)
    one.add("Mul", trunk)
    one.add("InstanceNormalization", one.constant(scale), one.constant(shift))
    one.add("Pad", one.ints(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect")
    one.conv(CHANNELS, 1)
    one.add("Relu")
    one.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    low = one.add("Relu")
    one.add("Resize", "", one.constant(np.array([1, 1, 2, 2], np.float32)), mode="linear")
    one.add("Relu")
    one.add("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
    one.add("Concat", low, axis=1)
    one.add("Relu")
    one.add("LpPool", kernel_shape=[2, 2], strides=[2, 2])
    one.add("Relu")
    graph = helper.make_graph(
        one.nodes,
        "operators",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 128, 128))],
        [helper.make_tensor_value_info(one.last, TensorProto.FLOAT, None)],
        one.constants,
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixgrad", type=Path, default=ROOT / "target/release/pixgrad", help="the program")
    parser.add_argument("--device", default="0", help="a device of pixgrad's [0]")
    parser.add_argument("--model", type=Path, help="measure this network in place of the one with a layer of each kind")
    parser.add_argument("--size", default="128", help="long side in pixels [128]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model, report = options.model or Path(folder, "operators.onnx"), Path(folder, "report.json")
        if not options.model:
            network(model)
        command = [options.pixgrad, "-q", "--device", options.device, "bench", "--model", model]
        command += ["--sizes", options.size, "-o", report]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        measured = json.loads(report.read_text())
    ceilings = measured["ceilings"]
    print(f"f32 {ceilings['fp32_gflops']:.1f} GFLOP/s, copy {ceilings['copy_gbps']:.2f} GB/s")
    kernels = {}
    for call in measured["kernels"]:
        if call["min_ms"] < LEAST_MS:
            continue
        share = max(call["gflops"] / ceilings["fp32_gflops"], call["gbps"] / ceilings["copy_gbps"])
        kernels.setdefault(call["kernel"], []).append((100 * share, call["call"]))
    for kernel, calls in sorted(kernels.items()):
        (least, where), (most, _) = min(calls), max(calls)
        print(f"{kernel:28} {least:4.0f} to {most:4.0f} %  least at {where}")


if __name__ == "__main__":
    main()
