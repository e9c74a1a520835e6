"""The options of every method, by the names of the command line's: `pixgrad help style` and docs/cli.md tell more.
What is not given, or None, is as the method has it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, TypedDict, Union

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._pictures import PictureLike

    Layers = Union[str, Sequence[str]]
    Numbers = Union[float, Sequence[float]]
    Pictures = Union[PictureLike, Sequence[PictureLike]]


class OptimizeOptions(TypedDict, total=False):
    """Options of every method that optimizes a picture."""

    min_size: int | None
    iterations: int | None
    initial_iterations: int | None
    init: PictureLike | Literal["content", "noise", "gray", "stats"] | None
    seed: int | None
    model: str | os.PathLike[str] | None
    preprocessing: str | None
    labels: str | os.PathLike[str] | None
    optimizer: Literal["adam", "lbfgs", "gradient"] | None
    history: int | None
    step_size: float | None
    average: float | None
    precision: Literal["f32", "f16"] | None


class PaintOptions(OptimizeOptions, total=False):
    """Options of `style` and `texture`."""

    style_weight: float | None
    tv_weight: float | None
    style_weights: Numbers | None
    style_scale: Numbers | None
    style_mask: Pictures | None
    style_source_mask: Pictures | None
    padding: Literal["zero", "replicate", "replicate-first", "wrap"] | None
    tileable: bool
    pooling: Literal["max", "average"] | None
    style_layers: Layers | None
    style_loss: str | Sequence[str] | None


class StyleOptions(PaintOptions, total=False):
    """Options of `style`."""

    size: int | Literal["native"] | None
    content_weight: float | None
    content_layers: Layers | None
    preserve_color: Literal["off", "luma", "match"] | None


class TextureOptions(PaintOptions, total=False):
    """Options of `texture`."""

    size: int | str | None


class InvertOptions(OptimizeOptions, total=False):
    """Options of `invert`."""

    size: int | Literal["native"] | None
    tv_weight: float | None
    beta: float | None
    alpha: float | None


class DreamOptions(OptimizeOptions, total=False):
    """Options of `dream`."""

    size: int | Literal["native"] | None
    layer: Layers | None
    channel: int | None
    guide: PictureLike | None
    preset: Literal["google", "tf1-lapnorm", "tf2", "plain"] | None
    octaves: int | None
    octave_scale: float | None
    jitter: int | None


class VisualizeOptions(OptimizeOptions, total=False):
    """Options of `visualize`. The subject is a class, which is `class_` here, a unit or a direction of a layer."""

    class_: int | str | Sequence[int | str] | None
    unit: str | None
    direction: int | Sequence[int] | None
    layer: str | None
    preset: Literal["lucid", "erhan", "yosinski1", "yosinski2", "yosinski3", "yosinski4"] | None
    size: int | None
    canvas: Literal["receptive-field"] | None
    restarts: int | None


class FoolOptions(OptimizeOptions, total=False):
    """Options of `fool`."""

    size: int | None
    confidence: float | None


class EvolveOptions(TypedDict, total=False):
    """Options of `Network.evolve`."""

    size: int | None
    population: int | None
    generations: int | None
    seed: int | None
    confidence: float | None
    top: int | None


class AttackOptions(TypedDict, total=False):
    """Options of `attack` and `transfer`."""

    size: int | Literal["crop", "native"] | None
    method: Literal["fgsm", "bim", "mi-fgsm", "pgd", "lbfgs", "cw", "deepfool"] | None
    norm: Literal["linf", "l2"] | None
    epsilon: float | str | None
    steps: int | None
    step_size: float | str | None
    c: float | str | None
    rounds: int | None
    confidence: float | None
    survive_8bit: bool
    seed: int | None


class SearchOptions(TypedDict, total=False):
    """Options of `search`."""

    unit: int | Sequence[int] | None
    direction: int | Sequence[int] | None
    units: int | None
    directions: int | None
    seed: int | None
    pool: Literal["max", "mean"] | None
    top: int | None
