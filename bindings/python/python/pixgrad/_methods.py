"""The methods that make a picture, a function each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ._engine import DeviceLike, Recipe, Run, Step
from ._options import (
    DreamOptions,
    FoolOptions,
    InvertOptions,
    StyleOptions,
    TextureOptions,
    VisualizeOptions,
)
from ._pictures import DType, Picture, picture_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._pictures import PictureLike

Progress = Callable[[Step], "bool | None"]
F = TypeVar("F", bound=Callable[..., Any])


def _with_options(options: Any) -> Callable[[F], F]:
    """Lets `help` show the options of a method by name."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        # Those of the classes that it extends included.
        names = options.__annotations__
        more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in names]
        function.__signature__ = signature.replace(parameters=own + more)  # type: ignore[attr-defined]
        return function

    return decorate


def _made(
    method: str,
    options: dict[str, Any],
    device: DeviceLike,
    progress: Progress | None,
    dtype: DType,
) -> Picture:
    return Run(Recipe.method(method, options), device).finish(progress).image(dtype)


@_with_options(StyleOptions)
def style(
    content: PictureLike,
    styles: PictureLike | Sequence[PictureLike],
    *,
    device: DeviceLike = None,
    progress: Progress | None = None,
    dtype: DType = "uint8",
    **options: Unpack[StyleOptions],
) -> Picture:
    """The content picture in the style of others (Gatys, Ecker and Bethge 2016), as `pixgrad style` paints it."""
    return _made("style", {"content": content, "styles": styles, **options}, device, progress, dtype)


@_with_options(TextureOptions)
def texture(
    styles: PictureLike | Sequence[PictureLike],
    *,
    device: DeviceLike = None,
    progress: Progress | None = None,
    dtype: DType = "uint8",
    **options: Unpack[TextureOptions],
) -> Picture:
    """A new texture like samples (Gatys, Ecker and Bethge 2015), as `pixgrad texture` makes it."""
    return _made("texture", {"styles": styles, **options}, device, progress, dtype)


@_with_options(InvertOptions)
def invert(
    image: PictureLike,
    layer: str,
    *,
    device: DeviceLike = None,
    progress: Progress | None = None,
    dtype: DType = "uint8",
    **options: Unpack[InvertOptions],
) -> Picture:
    """What a layer still knows of a picture (Mahendran and Vedaldi 2015), as `pixgrad invert` shows it."""
    return _made("invert", {"image": image, "layer": layer, **options}, device, progress, dtype)


@_with_options(DreamOptions)
def dream(
    image: PictureLike,
    *,
    device: DeviceLike = None,
    progress: Progress | None = None,
    dtype: DType = "uint8",
    **options: Unpack[DreamOptions],
) -> Picture:
    """A picture in which a network finds what it looks for (DeepDream), as `pixgrad dream` makes it."""
    return _made("dream", {"image": image, **options}, device, progress, dtype)


@_with_options(DreamOptions)
def zoom(
    image: PictureLike,
    frames: int,
    *,
    zoom_step: float = 0.05,
    device: DeviceLike = None,
    progress: Progress | None = None,
    dtype: DType = "uint8",
    **options: Unpack[DreamOptions],
) -> Iterator[Picture]:
    """The dream of a picture, and further frames, each dreamt on from the middle of the one before, as
    `pixgrad dream --zoom` makes them. `zoom_step` is the part of each side that is cut off from frame to frame. Each
    frame is made when it is asked for."""
    run = Run(Recipe.method("dream", {"image": image, **options}), device).finish(progress)
    first, picture = run.recipe._native, run._native.picture()
    yield picture_of(picture, dtype)
    for number in range(1, frames + 1):
        recipe = Recipe._of(first.begun_at(picture.zoomed(zoom_step), number))
        picture = Run(recipe, device).finish(progress)._native.picture()
        yield picture_of(picture, dtype)


@_with_options(VisualizeOptions)
def visualize(
    *,
    device: DeviceLike = None,
    progress: Progress | None = None,
    dtype: DType = "uint8",
    **options: Unpack[VisualizeOptions],
) -> Picture:
    """The picture that activates a class, a unit or a direction most, as `pixgrad visualize` makes it."""
    return _made("visualize", dict(options), device, progress, dtype)


@_with_options(FoolOptions)
def fool(
    class_: int | str,
    *,
    device: DeviceLike = None,
    progress: Progress | None = None,
    dtype: DType = "uint8",
    **options: Unpack[FoolOptions],
) -> Picture:
    """A picture of nothing that a network is sure about (Nguyen, Yosinski and Clune 2015), as `pixgrad fool` makes it
    with --method gradient."""
    return _made("fool", {"class": class_, **options}, device, progress, dtype)
