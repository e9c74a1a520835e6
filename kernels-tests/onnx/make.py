"""Makes the small ONNX models that the tests read, with their answers.

    python3 -m venv venv && venv/bin/pip install onnx onnxruntime numpy safetensors
    venv/bin/python kernels-tests/onnx/make.py

Each model has an image `x` of 3 channels and an output `y`. `answers.safetensors` holds for each the image
(`NAME.x`), the output (`NAME.y`) and the gradient of mean(y^2) with respect to the image (`NAME.g`): outputs by the
reference evaluator of the ONNX project in f64, gradients by central differences of it. Each output is compared with
onnxruntime's, which shares no code with it.
"""

import math
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent
OUT = HERE / "models"
RNG = np.random.default_rng(20)
MODELS = {}
EVERYWHERE = 17


def weights(*shape, scale=1.0):
    return (RNG.uniform(-1, 1, shape) * scale).astype(np.float32)


def positive(*shape):
    return RNG.uniform(0.5, 1.5, shape).astype(np.float32)


def ints(*values):
    return np.array(values, dtype=np.int64)


def node(operator, inputs, output="y", **attributes):
    outputs = output if isinstance(output, list) else [output]
    return helper.make_node(operator, inputs, outputs, name=f"{operator}_{outputs[0]}", **attributes)


def model(name, nodes, constants=(), shape=(1, 3, 6, 5), opset=EVERYWHERE, dims=None):
    """A model of `nodes`, from `x` to `y`. `dims` are what the file says of the input's shape."""
    constants = dict(constants)
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims or shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    made.metadata_props.add(key="preprocessing", value="RGB/255")
    made.producer_name = ""
    assert name not in MODELS, name
    MODELS[name] = (made, shape)


# Convolutions.
def conv(name, shape, kernel, bias=True, image=(1, 3, 6, 5), before=(), **attributes):
    inputs = [before[-1].output[0] if before else "x", "w"] + (["b"] if bias else [])
    constants = {"w": weights(*shape, *kernel), "b": weights(shape[0])}
    if not bias:
        del constants["b"]
    model(name, [*before, node("Conv", inputs, **attributes)], constants, image)


conv("conv", (4, 3), (3, 3), pads=[1, 1, 1, 1])
conv("conv_no_bias", (5, 3), (3, 2), bias=False)
conv("conv_sides", (4, 3), (3, 4), pads=[2, 0, 1, 3], strides=[2, 1])
conv("conv_dilated", (4, 3), (3, 3), pads=[2, 3, 2, 3], dilations=[2, 3], image=(1, 3, 9, 8))
conv("conv_same_upper", (4, 3), (3, 3), auto_pad="SAME_UPPER", strides=[2, 2])
conv("conv_same_lower", (4, 3), (4, 2), auto_pad="SAME_LOWER", strides=[2, 2])
conv("conv_valid", (4, 3), (3, 3), auto_pad="VALID")
conv("conv_depthwise", (3, 1), (3, 3), group=3, pads=[1, 1, 1, 1], strides=[2, 2])
conv("conv_multiplier", (6, 1), (3, 3), group=3, pads=[1, 1, 1, 1])
conv("conv_wide_pads", (2, 3), (2, 2), pads=[3, 2, 2, 3])
model(
    "conv_groups",
    [node("Conv", ["x", "a"], "h"), node("Conv", ["h", "w", "b"], group=2, pads=[1, 1, 1, 1])],
    {"a": weights(6, 3, 1, 1), "w": weights(8, 3, 3, 3), "b": weights(8)},
)
for name, attributes in {
    "deconv": {"strides": [2, 2]},
    "deconv_sides": {"strides": [2, 3], "pads": [1, 0, 0, 2], "output_padding": [1, 1]},
    "deconv_dilated": {"dilations": [2, 1], "pads": [1, 1, 1, 1]},
    "deconv_same": {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "deconv_shape": {"strides": [2, 2], "output_shape": [12, 10]},
}.items():
    constants = {"w": weights(3, 4, 3, 3), "b": weights(4)}
    model(name, [node("ConvTranspose", ["x", "w", "b"], **attributes)], constants)
model(
    "deconv_groups",
    [node("ConvTranspose", ["x", "w"], strides=[2, 2], group=3)],
    {"w": weights(3, 2, 2, 2)},
)

# Normalizations.
batch = {"s": weights(4), "o": weights(4), "m": weights(4), "v": positive(4)}
folded = [
    node("Conv", ["x", "w"], "h"),
    node("BatchNormalization", ["h", "s", "o", "m", "v"], "n", epsilon=1e-3),
    node("Relu", ["n"]),
]
model("batchnorm_folded", folded, {"w": weights(4, 3, 3, 3), **batch})
model(
    "batchnorm_alone",
    [node("BatchNormalization", ["x", "s", "o", "m", "v"])],
    {key: value[:3] for key, value in batch.items()},
)
model(
    "batchnorm_read_twice",
    [
        node("Conv", ["x", "w"], "h"),
        node("BatchNormalization", ["h", "s", "o", "m", "v"], "n"),
        node("Mul", ["h", "n"]),
    ],
    {"w": weights(4, 3, 3, 3), **batch},
)
model(
    "batchnorm_small_scale",
    [
        node("Conv", ["x", "w", "b"], "h"),
        node("BatchNormalization", ["h", "s", "o", "m", "v"]),
    ],
    {"w": weights(4, 3, 1, 1), "b": weights(4), **batch, "s": np.array([1, 0, 1e-6, -2], np.float32)},
)
# The mean square of what is normalized says nothing of the image; that of its positive part does.
normal = [node("InstanceNormalization", ["x", "s", "o"], "n"), node("Relu", ["n"])]
model("instancenorm", normal, {"s": weights(3), "o": weights(3)})
wide = {"a": weights(6, 3, 1, 1), "c": weights(6)}
widen = node("Conv", ["x", "a", "c"], "h")
model(
    "groupnorm_reshaped",
    [
        widen,
        node("Reshape", ["h", "to"], "r"),
        node("InstanceNormalization", ["r", "s", "o"], "i"),
        node("Reshape", ["i", "back"], "b"),
        node("Mul", ["b", "g"], "p"),
        node("Add", ["p", "q"]),
    ],
    {
        **wide,
        "to": ints(0, 2, -1),
        "s": np.ones(2, np.float32),
        "o": np.zeros(2, np.float32),
        "back": ints(1, 6, 6, 5),
        "g": weights(6, 1, 1),
        "q": weights(6, 1, 1),
    },
)
model(
    "groupnorm",
    [widen, node("GroupNormalization", ["h", "s", "o"], num_groups=3)],
    {**wide, "s": weights(6), "o": weights(6)},
    opset=21,
)
model(
    "layernorm_channels",
    [
        widen,
        node("Transpose", ["h"], "t", perm=[0, 2, 3, 1]),
        node("LayerNormalization", ["t", "s", "o"], "n", axis=-1, epsilon=1e-6),
        node("Transpose", ["n"], perm=[0, 3, 1, 2]),
    ],
    {**wide, "s": weights(6), "o": weights(6)},
)
spelt = [
    widen,
    node("Transpose", ["h"], "t", perm=[0, 2, 3, 1]),
    node("ReduceMean", ["t"], "mean", axes=[-1]),
    node("Sub", ["t", "mean"], "d"),
    node("Pow", ["d", "two"], "sq"),
    node("ReduceMean", ["sq"], "var", axes=[-1]),
    node("Add", ["var", "eps"], "ve"),
    node("Sqrt", ["ve"], "sd"),
    node("Div", ["d", "sd"], "n"),
    node("Mul", ["n", "s"], "ns"),
    node("Add", ["ns", "o"], "no"),
    node("Transpose", ["no"], perm=[0, 3, 1, 2]),
]
two, eps = np.array(2, np.float32), np.array(1e-5, np.float32)
model("layernorm_spelt_out", spelt, {**wide, "two": two, "eps": eps, "s": weights(6), "o": weights(6)})
model(
    "layernorm_all",
    [node("LayerNormalization", ["x", "s"], axis=1)],
    {"s": np.broadcast_to(weights(3, 1, 1), (3, 6, 5)).copy()},
)
model("lrn", [widen, node("LRN", ["h"], size=3, alpha=0.5, beta=0.6, bias=1.5)], wide)
model("softmax", [widen, node("Softmax", ["h"], axis=1)], wide)
model("logsoftmax", [widen, node("LogSoftmax", ["h"], axis=1)], wide)

# Functions of single numbers, of values on both sides of 0.
shift = [node("Mul", ["x", "four"], "m"), node("Sub", ["m", "two"], "h")]
shifts = {"four": np.array(4, np.float32), "two": np.array(2, np.float32)}
for operator, attributes in {
    "Relu": {},
    "LeakyRelu": {"alpha": 0.2},
    "Elu": {"alpha": 0.7},
    "Celu": {"alpha": 0.6},
    "Selu": {},
    "Sigmoid": {},
    "Tanh": {},
    "HardSigmoid": {"alpha": 0.3, "beta": 0.4},
    "HardSwish": {},
    "Softplus": {},
    "Softsign": {},
    "Mish": {},
    "Erf": {},
    "Abs": {},
    "Neg": {},
    "Exp": {},
}.items():
    opset = 18 if operator == "Mish" else EVERYWHERE
    model(operator.lower(), [*shift, node(operator, ["h"], **attributes)], shifts, opset=opset)
for approximate in ["none", "tanh"]:
    gelu = [*shift, node("Gelu", ["h"], approximate=approximate)]
    model("gelu" if approximate == "none" else "gelu_tanh", gelu, shifts, opset=20)
for operator in ["Sqrt", "Log", "Reciprocal"]:
    model(operator.lower(), [node(operator, ["x"])])
model("prelu", [*shift, node("PRelu", ["h", "s"])], {**shifts, "s": weights(3, 1, 1)})
model("prelu_one", [*shift, node("PRelu", ["h", "s"])], {**shifts, "s": weights(1)})
bounds = {"low": np.array(0, np.float32), "high": np.array(1.5, np.float32)}
model("clip", [*shift, node("Clip", ["h", "low", "high"])], {**shifts, **bounds})
model("clip_below", [*shift, node("Clip", ["h", "low"])], {**shifts, "low": bounds["low"]})
model("clip_old", [*shift, node("Clip", ["h"], min=-0.5, max=0.5)], shifts, opset=9)
model("silu_spelt_out", [*shift, node("Sigmoid", ["h"], "g"), node("Mul", ["h", "g"])], shifts)
numbers = {key: np.array(value, np.float32) for key, value in {"three": 3, "six": 6, "zero": 0}.items()}
hard_swish = [
    *shift,
    node("Add", ["h", "three"], "a"),
    node("Clip", ["a", "zero", "six"], "c"),
    node("Mul", ["h", "c"], "p"),
    node("Div", ["p", "six"]),
]
model("hard_swish_spelt_out", hard_swish, {**shifts, **numbers})
gelu = [
    *shift,
    node("Div", ["h", "root"], "d"),
    node("Erf", ["d"], "e"),
    node("Add", ["e", "one"], "a"),
    node("Mul", ["h", "a"], "p"),
    node("Mul", ["p", "half"]),
]
numbers = {"root": math.sqrt(2), "one": 1, "half": 0.5}
model("gelu_spelt_out", gelu, {**shifts, **{k: np.array(v, np.float32) for k, v in numbers.items()}})
mish = [*shift, node("Softplus", ["h"], "s"), node("Tanh", ["s"], "t"), node("Mul", ["h", "t"])]
model("mish_spelt_out", mish, shifts)
model("pow", [node("Pow", ["x", "p"])], {"p": np.array(1.7, np.float32)})

# Pools.
for name, operator, attributes in [
    ("maxpool", "MaxPool", {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}),
    ("maxpool_ceil", "MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ("maxpool_dilated", "MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 3]}),
    ("maxpool_large", "MaxPool", {"kernel_shape": [5, 5], "pads": [2, 2, 2, 2]}),
    ("maxpool_same", "MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ("avgpool", "AveragePool", {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [1, 1, 0, 1]}),
    ("avgpool_counted", "AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
    ("avgpool_ceil", "AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    ("lppool", "LpPool", {"kernel_shape": [2, 3], "strides": [1, 2], "p": 2}),
    ("lppool_3", "LpPool", {"kernel_shape": [2, 2], "strides": [2, 2], "p": 3}),
    ("global_average", "GlobalAveragePool", {}),
    ("global_max", "GlobalMaxPool", {}),
]:
    model(name, [node(operator, ["x"], **attributes)])
model("reducemean", [widen, node("ReduceMean", ["h"], axes=[2, 3], keepdims=0)], wide)
model("reducemean_input", [widen, node("ReduceMean", ["h", "a2"])], {**wide, "a2": ints(-1, -2)}, opset=18)
model("reducemax", [widen, node("ReduceMax", ["h"], axes=[2, 3])], wide)
length = [widen, node("ReduceL2", ["h"], "l", axes=[1]), node("Div", ["h", "l"], "d"), node("Relu", ["d"])]
model("reducel2", length, wide)

# Arithmetic.
pair = [node("Conv", ["x", "a", "c"], "h"), node("Conv", ["x", "b", "d"], "k")]
pairs = {"a": weights(4, 3, 1, 1), "c": weights(4), "b": weights(4, 3, 1, 1), "d": weights(4) + 4}
for operator in ["Add", "Sub", "Mul", "Div", "Min", "Max", "Sum", "Mean"]:
    model(operator.lower(), [*pair, node(operator, ["h", "k"])], pairs)
model("sum_of_three", [*pair, node("Sum", ["h", "k", "h"])], pairs)
model("add_channels", [node("Add", ["x", "b"])], {"b": weights(1, 3, 1, 1)})
model("sub_from", [node("Sub", ["b", "x"])], {"b": weights(3, 1, 1)})
model("div_of", [node("Div", ["b", "x"])], {"b": weights(1)})
squeeze = [
    node("Conv", ["x", "a", "c"], "h"),
    node("GlobalAveragePool", ["h"], "p"),
    node("Conv", ["p", "b", "d"], "q"),
    node("Relu", ["q"], "r"),
    node("Conv", ["r", "e"], "t"),
    node("Sigmoid", ["t"], "s"),
    node("Mul", ["h", "s"]),
]
excite = {"a": weights(6, 3, 3, 3), "c": weights(6), "b": weights(2, 6, 1, 1)}
excite |= {"d": weights(2) + 1, "e": weights(6, 2, 1, 1)}
model("squeeze_and_excite", squeeze, excite)
model(
    "squeeze_and_excite_linear",
    [
        widen,
        node("ReduceMean", ["h"], "p", axes=[2, 3], keepdims=0),
        node("MatMul", ["p", "m"], "q"),
        node("Sigmoid", ["q"], "s"),
        node("Reshape", ["s", "to"], "r"),
        node("Mul", ["r", "h"]),
    ],
    {**wide, "m": weights(6, 6), "to": ints(-1, 6, 1, 1)},
)

# Channels.
model("concat", [*pair, node("Concat", ["h", "x", "k"], axis=1)], pairs)
model(
    "split",
    [widen, node("Split", ["h", "n"], ["p", "q"], axis=1), node("Concat", ["q", "p"], axis=-3)],
    {**wide, "n": ints(2, 4)},
)
model("split_old", [widen, node("Split", ["h"], ["p", "q"], axis=1), node("Mul", ["p", "q"])], wide, opset=11)
model(
    "slice",
    [widen, node("Slice", ["h", "s", "e", "a2", "t"])],
    {**wide, "s": ints(-1), "e": ints(-100), "a2": ints(1), "t": ints(-2)},
)
model("slice_old", [widen, node("Slice", ["h"], starts=[1, 0], ends=[4, 100], axes=[1, 2])], wide, opset=9)
model("gather", [widen, node("Gather", ["h", "i"], axis=1)], {**wide, "i": ints(5, 0, 0, -3)})
shuffle = [
    widen,
    node("Reshape", ["h", "to"], "r"),
    node("Transpose", ["r"], "t", perm=[0, 2, 1, 3, 4]),
    node("Reshape", ["t", "back"], "f"),
    node("Conv", ["f", "w"], group=3),
]
model("shuffle", shuffle, {**wide, "to": ints(1, 2, 3, 6, 5), "back": ints(1, -1, 6, 5), "w": weights(3, 2, 3, 3)})

# Heads, shapes and layouts.
head = [node("Flatten", ["x"], "f"), node("Gemm", ["f", "w", "b"], transB=1, alpha=0.5, beta=2.0)]
model("gemm", head, {"w": weights(4, 90), "b": weights(4)})
model("gemm_plain", [node("Flatten", ["x"], "f"), node("Gemm", ["f", "w"])], {"w": weights(90, 4)})
arithmetic = [
    node("Shape", ["x"], "s"),
    node("Gather", ["s", "zero"], "n"),
    node("Unsqueeze", ["n", "first"], "u"),
    node("Concat", ["u", "rest"], "to", axis=0),
    node("Reshape", ["x", "to"], "f"),
    node("MatMul", ["f", "w"], "m"),
    node("Add", ["m", "b"]),
]
constants = {"zero": np.array(0, np.int64), "first": ints(0), "rest": ints(-1), "w": weights(90, 4), "b": weights(4)}
model("shape_arithmetic", arithmetic, constants, dims=("n", 3, 6, 5))
last = [
    node("Transpose", ["x"], "t", perm=[0, 3, 1, 2]),
    node("Conv", ["t", "w"], "c", pads=[1, 1, 1, 1]),
    node("Transpose", ["c"], "l", perm=[0, 2, 3, 1]),
    node("MatMul", ["l", "m"], "d"),
    node("Add", ["d", "b"], "e"),
    node("Relu", ["e"], "r"),
    node("Reshape", ["r", "flat"], "f"),
    node("MatMul", ["f", "h"]),
]
constants = {"w": weights(4, 3, 3, 3), "m": weights(4, 5), "b": weights(5), "flat": ints(1, -1), "h": weights(150, 3)}
model("channels_last", last, constants, shape=(1, 6, 5, 3))
model(
    "squeezed",
    [
        widen,
        node("GlobalAveragePool", ["h"], "p"),
        node("Squeeze", ["p", "a2"], "s"),
        node("Unsqueeze", ["s", "a2"], "u"),
        node("Identity", ["u"], "i"),
        node("Dropout", ["i"], "d"),
        node("Flatten", ["d"], "f"),
        node("Gemm", ["f", "w"]),
    ],
    {**wide, "a2": ints(2, 3), "w": weights(6, 3)},
)
model("constant", [node("Constant", [], "c", value=numpy_helper.from_array(weights(3, 1, 1))), node("Mul", ["x", "c"])])
shape = helper.make_tensor("v", TensorProto.FLOAT, [1], [0.25])
model(
    "constantofshape",
    [node("ConstantOfShape", ["s"], "w", value=shape), node("Conv", ["x", "w"])],
    {"s": ints(2, 3, 3, 3)},
)
model("cast", [node("Cast", ["x"], "h", to=TensorProto.FLOAT), node("Mul", ["h", "h"])])
half = [node("Cast", ["w16"], "w", to=TensorProto.FLOAT), node("Conv", ["x", "w"])]
model("weights_of_16_bits", half, {"w16": weights(2, 3, 3, 3).astype(np.float16)})
model("grey", [node("Conv", ["x", "w"])], {"w": weights(2, 1, 3, 3)}, shape=(1, 1, 6, 5))

# Other sizes.
sides = ints(0, 0, 1, 2, 0, 0, 2, 1)
model("pad", [node("Pad", ["x", "p", "v"])], {"p": sides, "v": np.array(0.5, np.float32)})
model("pad_edge", [node("Pad", ["x", "p"], mode="edge")], {"p": sides})
model("pad_reflect", [node("Pad", ["x", "p"], mode="reflect")], {"p": sides})
model("pad_old", [node("Pad", ["x"], pads=[0, 0, 1, 0, 0, 0, 0, 2], value=0.25)], opset=9)
model("pad_channels", [node("Pad", ["x", "p"])], {"p": ints(0, 2, 0, 0, 0, 1, 0, 0)})
value = {"p": ints(0, -1, 1, 0, 0, 2, 0, -1), "v": np.array(0.75, np.float32)}
model("pad_channels_value", [node("Pad", ["x", "p", "v"])], value)
# Channels last, as Keras has it.
inside = [
    node("Transpose", ["x"], "t", perm=[0, 2, 3, 1]),
    node("Pad", ["t", "p"], "q"),
    node("Transpose", ["q"], "b", perm=[0, 3, 1, 2]),
    node("Conv", ["b", "w"], strides=[2, 2]),
]
model("pad_channels_last", inside, {"p": ints(0, 0, 1, 0, 0, 1, 2, 1), "w": weights(2, 4, 3, 3)})
for name, attributes, scale in [
    ("resize_nearest", {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, 2),
    ("resize_half_pixel", {"mode": "nearest"}, 1.7),
    ("resize_ceil", {"mode": "nearest", "nearest_mode": "ceil"}, 0.6),
    ("resize_linear", {"mode": "linear"}, 2),
    ("resize_pytorch", {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}, 1.5),
    ("resize_corners", {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, 2),
    ("resize_smaller", {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}, 0.5),
]:
    scales = np.array([1, 1, scale, scale], np.float32)
    model(name, [node("Resize", ["x", "", "s"], **attributes)], {"s": scales})
corners = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
model("resize_sizes", [node("Resize", ["x", "", "", "n"], **corners)], {"n": ints(1, 3, 9, 7)})
model("upsample", [node("Upsample", ["x", "s"], mode="nearest")], {"s": np.array([1, 1, 2, 3], np.float32)}, opset=9)


# Sums over positions, and extremes over channels.
for name, operator, attributes in [
    ("reducesum_positions", "ReduceSum", {}),
    ("reducel2_positions", "ReduceL2", {}),
]:
    axes = {"a2": ints(2, 3)}
    model(name, [widen, node(operator, ["h", "a2"], **attributes)], {**wide, **axes}, opset=18)
model("reducemean_rows", [widen, node("ReduceMean", ["h"], axes=[2])], wide)
model("reducel1_columns", [widen, node("ReduceL1", ["h"], axes=[3], keepdims=0)], wide)
model("reducemax_channels", [widen, node("ReduceMax", ["h"], axes=[1])], wide)
model("reducemin_channels", [widen, node("ReduceMin", ["h"], axes=[1], keepdims=0)], wide)
normal = [widen, node("LpNormalization", ["h"], "d", axis=1, p=2), node("Relu", ["d"])]
model("lp_normalization", normal, wide)
model("global_lp", [node("GlobalLpPool", ["x"], p=3)])

# Two branches of three channels, stacked on an axis of their own and weighed against each other: selective kernels (Li
# et al. 2019) and split attention (Zhang et al. 2022).
branch = {"a": weights(3, 3, 3, 3), "c": weights(3), "b": weights(3, 3, 1, 1), "d": weights(3), "one": ints(1)}
stack = [
    node("Conv", ["x", "a", "c"], "h", pads=[1, 1, 1, 1]),
    node("Conv", ["x", "b", "d"], "k"),
    node("Unsqueeze", ["h", "one"], "h1"),
    node("Unsqueeze", ["k", "one"], "k1"),
    node("Concat", ["h1", "k1"], "s", axis=1),
]
model("stack", [*stack, node("ReduceSum", ["s", "one"], keepdims=0)], branch)
model("stack_mean", [*stack, node("ReduceMean", ["s"], axes=[1])], branch)
attention = [*stack, node("Softmax", ["s"], "p", axis=1), node("Mul", ["p", "s"], "w"), node("ReduceSum", ["w", "one"])]
model("stack_softmax", attention, branch)

# Neighbouring channels (ECA-Net, Wang et al. 2020).
neighbours = [
    widen,
    node("GlobalAveragePool", ["h"], "p"),
    node("Reshape", ["p", "n"], "q"),
    node("Conv", ["q", "w"], "r", pads=[1, 1]),
    node("Sigmoid", ["r"], "t"),
    node("Reshape", ["t", "m"], "s"),
    node("Mul", ["h", "s"]),
]
model("conv_of_channels", neighbours, {**wide, "n": ints(1, 1, -1), "w": weights(1, 1, 3), "m": ints(1, -1, 1, 1)})

# Rows and columns cut off, and every second one.
model("pad_negative", [node("Pad", ["x", "p"])], {"p": ints(0, 0, -1, 2, 0, 0, 1, -2)})
model("pad_negative_edge", [node("Pad", ["x", "p"], mode="edge")], {"p": ints(0, 0, -2, 1, 0, 0, 1, -1)})
slices = {"b": ints(1, 0), "e": ints(1 << 31, -1), "at": ints(2, 3), "by": ints(2, 3)}
model("slice_positions", [node("Slice", ["x", "b", "e", "at", "by"])], slices)
focus = [
    node("Slice", ["x", "zero", "end", "at", "two"], "a"),
    node("Slice", ["x", "first", "end", "at", "two"], "b"),
    node("Concat", ["a", "b"], axis=1),
]
model("focus", focus, {"zero": ints(0), "first": ints(1), "end": ints(1 << 31), "at": ints(2), "two": ints(2)})
model("space_to_depth", [node("SpaceToDepth", ["x"], blocksize=2)], shape=(1, 3, 6, 4))
for mode in ["DCR", "CRD"]:
    nodes = [node("Conv", ["x", "a"], "h"), node("DepthToSpace", ["h"], blocksize=2, mode=mode)]
    model(f"depth_to_space_{mode.lower()}", nodes, {"a": weights(8, 3, 1, 1)}, shape=(1, 3, 3, 4))

# Expanded to another value's shape, as `expand_as` is exported.
expanded = [
    widen,
    node("GlobalAveragePool", ["h"], "p"),
    node("Shape", ["h"], "n"),
    node("Expand", ["p", "n"], "e"),
    node("Sigmoid", ["e"], "s"),
    node("Mul", ["h", "s"]),
]
model("expand", expanded, wide)

# Weights that the file computes: standardized ones (Qiao et al. 2019), and bounds.
standard = [
    node("ReduceMean", ["w"], "m", axes=[1, 2, 3]),
    node("Sub", ["w", "m"], "z"),
    node("ReduceSumSquare", ["z"], "v", axes=[1, 2, 3]),
    node("Sqrt", ["v"], "s"),
    node("Clip", ["s", "low"], "t"),
    node("Div", ["z", "t"], "n"),
    node("Sum", ["n", "n", "w"], "u"),
    node("Reshape", ["u", "flat"], "f"),
    node("BatchNormalization", ["f", "g", "b", "i", "j"], "k", epsilon=1e-3),
    node("BatchNormalization", ["k", "g", "b", "i", "j"], ["o", "o1", "o2"], training_mode=1),
    node("Reshape", ["o", "back"], "l"),
    node("Conv", ["x", "l"]),
]
numbers = {"g": weights(4), "b": weights(4), "i": weights(4), "j": weights(4) ** 2 + 0.1}
shapes = {"flat": ints(1, 4, -1), "back": ints(4, 3, 3, 3)}
low = {"w": weights(4, 3, 3, 3), "low": np.array(0.25, np.float32)}
model("weights_standardized", standard, {**low, **numbers, **shapes}, opset=15)

# Constants that differ from position to position, such as a mean image, and bounds that differ from channel to channel.
model("add_positions", [widen, node("Add", ["h", "o"])], {**wide, "o": weights(1, 6, 6, 5)})
mean_off = [node("Sub", ["x", "o"], "m"), node("Conv", ["m", "a"])]
model("sub_mean_image", mean_off, {"o": positive(3, 6, 5), "a": wide["a"]})
model("sub_from_rows", [node("Sub", ["o", "x"])], {"o": weights(6, 1)})
model("mul_columns", [widen, node("Mul", ["o", "h"])], {**wide, "o": positive(1, 1, 1, 5)})
model("div_positions", [widen, node("Div", ["h", "o"])], {**wide, "o": positive(1, 1, 6, 5)})
of_positions = [node("Add", ["x", "one"], "p"), node("Div", ["o", "p"])]
model("div_of_positions", of_positions, {"one": positive(1), "o": weights(3, 6, 5)})
model("max_positions", [widen, node("Max", ["h", "o"])], {**wide, "o": weights(1, 6, 6, 5)})
model("min_channels", [widen, node("Min", ["h", "o"])], {**wide, "o": weights(6, 1, 1)})
normal = [node("LayerNormalization", ["x", "s", "o"], axis=1)]
model("layernorm_positions", normal, {"s": weights(3, 6, 5), "o": weights(3, 6, 5)})
last = [
    node("Transpose", ["x"], "l", perm=[0, 2, 3, 1]),
    node("Add", ["l", "o"], "p"),
    node("Transpose", ["p"], perm=[0, 3, 1, 2]),
]
model("add_positions_channels_last", last, {"o": weights(6, 5, 3)})

# Reshapes that cut rows and columns into pieces, and that put channels between them.
unshuffle = [
    node("Reshape", ["x", "apart"], "r"),
    node("Transpose", ["r"], "t", perm=[0, 3, 5, 1, 2, 4]),
    node("Reshape", ["t", "deep"], "d"),
    node("Conv", ["d", "w"]),
]
apart = {"apart": ints(1, 3, 3, 2, 2, 2), "deep": ints(1, 12, 3, 2)}
model("unshuffle_reshaped", unshuffle, {**apart, "w": weights(3, 12, 2, 1)}, shape=(1, 3, 6, 4))
columns = [
    node("Reshape", ["x", "apart"], "r"),
    node("Transpose", ["r"], "t", perm=[0, 1, 4, 2, 3]),
    node("Reshape", ["t", "deep"], "d"),
    node("Conv", ["d", "w"]),
]
apart = {"apart": ints(1, 3, 4, 2, 3), "deep": ints(1, 9, 4, 2)}
model("unshuffle_columns", columns, {**apart, "w": weights(3, 9, 1, 2)}, shape=(1, 3, 4, 6))
upsample = [
    node("Conv", ["x", "a"], "h"),
    node("Reshape", ["h", "apart"], "r"),
    node("Transpose", ["r"], "t", perm=[0, 1, 4, 2, 5, 3]),
    node("Reshape", ["t", "wide"], "v"),
    node("Conv", ["v", "w"]),
]
apart = {"apart": ints(1, 2, 2, 3, 3, 4), "wide": ints(1, 2, 6, 12)}
model("shuffle_positions", upsample, {**apart, "a": weights(12, 3, 1, 1), "w": weights(2, 2, 2, 2)}, shape=(1, 3, 3, 4))
decoder = [
    node("GlobalAveragePool", ["x"], "p"),
    node("Flatten", ["p"], "f"),
    node("Gemm", ["f", "m"], "g"),
    node("Reshape", ["g", "grid"], "r"),
    node("ConvTranspose", ["r", "w"], strides=[2, 2]),
]
model("decoder", decoder, {"m": weights(3, 12), "grid": ints(0, 2, 2, 3), "w": weights(2, 3, 2, 2)}, shape=(1, 3, 3, 2))

# Constants and expanded values beside the channels of others.
uniform = weights(1, 2, 1, 1) * np.ones((6, 5), np.float32)
model("concat_channels", [widen, node("Concat", ["o", "h"], axis=1)], {**wide, "o": uniform})
model("concat_coordinates", [node("Concat", ["x", "o"], axis=1)], {"o": weights(1, 2, 6, 5)})
beside = [*expanded[:4], node("Concat", ["h", "e", "x"], axis=1)]
model("concat_expanded", beside, wide)


# What is wrong in the reference evaluator (onnx 1.23): answers of the f64 formulas in their place.
class Erf(OpRun):
    def _run(self, x):
        return (np.vectorize(math.erf)(x).astype(x.dtype),)


class Gelu(OpRun):
    def _run(self, x, approximate=None):
        if approximate == "tanh":
            inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
            return ((0.5 * x * (1 + np.tanh(inner))).astype(x.dtype),)
        return ((0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))).astype(x.dtype),)


class GlobalLpPool(OpRun):
    def _run(self, x, p=2):
        return ((np.abs(x) ** p).sum((2, 3), keepdims=True) ** (1 / p),)


class GroupNormalization(OpRun):
    def _run(self, x, scale, bias, epsilon=1e-5, num_groups=None, stash_type=None):
        groups = x.reshape(x.shape[0], num_groups, -1)
        mean, variance = groups.mean(-1, keepdims=True), groups.var(-1, keepdims=True)
        normal = ((groups - mean) / np.sqrt(variance + (epsilon or 1e-5))).reshape(x.shape)
        return (normal * scale.reshape(1, -1, 1, 1) + bias.reshape(1, -1, 1, 1),)


class LRN(OpRun):
    def _run(self, x, alpha=None, beta=None, bias=None, size=None):
        channels = x.shape[1]
        sums = np.zeros_like(x)
        for c in range(channels):
            low, high = max(0, c - (size - 1) // 2), min(channels, c + size // 2 + 1)
            sums[:, c] = (x[:, low:high] ** 2).sum(1)
        return (x / (bias + alpha / size * sums) ** beta,)


# The evaluator cannot compute these. They are linear, so that central differences are exact whatever the step: f32 with
# a large one will do.
LINEAR = {
    "deconv_groups",
    "deconv_same",
    "deconv_shape",
    "pad_channels_value",
    "pad_negative",
    "pad_negative_edge",
}

PATCHES = [Erf, Gelu, GlobalLpPool, GroupNormalization, LRN]


def doubled(made):
    """The same model in f64."""
    made = onnx.ModelProto.FromString(made.SerializeToString())

    def double(tensor):
        if tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16):
            value = numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))

    for tensor in made.graph.initializer:
        double(tensor)
    for item in made.graph.node:
        for attribute in item.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                double(attribute.t)
            if attribute.name == "to":
                attribute.i = TensorProto.DOUBLE
    for value in [*made.graph.input, *made.graph.output]:
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    return made


def answers(name, made, shape):
    evaluator = ReferenceEvaluator(doubled(made), new_ops=PATCHES)
    channels_last = shape[-1] == 3
    image = RNG.uniform(0.05, 0.95, shape).astype(np.float32).astype(np.float64)

    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])

    def run(x):
        if name in LINEAR:
            return session.run(None, {"x": x.astype(np.float32)})[0].astype(np.float64)
        return evaluator.run(None, {"x": x})[0]

    y = run(image)
    # Another program must see the same.
    (other,) = session.run(None, {"x": image.astype(np.float32)})
    error = np.linalg.norm(other - y) / np.linalg.norm(y)
    assert other.shape == y.shape and error < 2e-6, (name, error, other.shape, y.shape)

    gradient = np.zeros(shape)
    step = 0.5 if name in LINEAR else 1e-6
    for place in np.ndindex(*shape):
        up, down = image.copy(), image.copy()
        up[place] += step
        down[place] -= step
        gradient[place] = ((run(up) ** 2).mean() - (run(down) ** 2).mean()) / (2 * step)
    if channels_last:
        image, gradient = image.transpose(0, 3, 1, 2), gradient.transpose(0, 3, 1, 2)
    return {
        f"{name}.x": np.ascontiguousarray(image[0], np.float32),
        f"{name}.y": np.ascontiguousarray(y, np.float32),
        f"{name}.g": np.ascontiguousarray(gradient[0], np.float32),
    }


def main():
    OUT.mkdir(exist_ok=True)
    for old in OUT.glob("*.onnx"):
        old.unlink()
    tensors = {}
    for name, (made, shape) in MODELS.items():
        try:
            tensors.update(answers(name, made, shape))
        except Exception as error:
            raise SystemExit(f"{name}: {error!r}")
        onnx.save(made, OUT / f"{name}.onnx")
    save_file(tensors, HERE / "answers.safetensors")
    size = sum(path.stat().st_size for path in [*OUT.glob("*.onnx"), HERE / "answers.safetensors"])
    print(f"{len(MODELS)} models, {size} bytes")


main()
