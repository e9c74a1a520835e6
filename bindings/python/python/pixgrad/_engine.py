"""Devices, recipes and runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

from . import _pixgrad
from ._pictures import DType, Named, Picture, picture_of

if TYPE_CHECKING:
    from ._pictures import PictureLike

Device = _pixgrad.Device

#: A device, or what `Device` takes as its name; None is the best one.
DeviceLike = Union[_pixgrad.Device, str, None]

_opened: dict[str | None, _pixgrad.Device] = {}


def device_of(device: DeviceLike) -> _pixgrad.Device:
    """The device of an argument. Each is opened once."""
    if isinstance(device, _pixgrad.Device):
        return device
    if device not in _opened:
        _opened[device] = _pixgrad.Device(device)
    return _opened[device]


def devices() -> list[dict[str, Any]]:
    """The devices there are, as `pixgrad devices --json` tells them."""
    found: list[dict[str, Any]] = json.loads(_pixgrad.devices())
    return found


class Recipe:
    """What a run does, as a plain value: the fields of a recipe file (docs/recipe.md).

    Wherever it takes the path of a picture it also takes a picture in memory. Relative paths start at the current
    folder, those of `Recipe.read` at the folder of the file.
    """

    def __init__(self, fields: Mapping[str, Any] | str) -> None:
        """Of a dict, or of TOML text."""
        if isinstance(fields, str):
            self._native = _pixgrad.Recipe.toml(fields, {})
        else:
            named = Named()
            text = json.dumps(dict(fields), default=named.json)
            self._native = _pixgrad.Recipe.json(text, named.pictures)

    @classmethod
    def _of(cls, native: _pixgrad.Recipe) -> Recipe:
        recipe = cls.__new__(cls)
        recipe._native = native
        return recipe

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Recipe:
        """Of a recipe file."""
        return cls._of(_pixgrad.Recipe.read(os.fspath(path)))

    @classmethod
    def method(cls, method: str, options: Mapping[str, Any]) -> Recipe:
        """Of a method, such as `style`, with its pictures and options: what `pixgrad.style` runs."""
        named = Named()
        # `class` is a word of Python.
        given = {name.rstrip("_"): value for name, value in options.items() if value is not None}
        text = json.dumps(given, default=named.json)
        return cls._of(_pixgrad.Recipe.method(method, text, named.pictures))

    def to_toml(self) -> str:
        """The text of a recipe file. Refused where pictures are in memory only."""
        return self._native.to_toml()

    def to_dict(self) -> dict[str, Any]:
        """The fields of a recipe file. Refused where pictures are in memory only."""
        fields: dict[str, Any] = json.loads(self._native.to_json())
        return fields


@dataclass(frozen=True)
class Scale:
    """One of the sizes that a run goes through."""

    width: int
    height: int
    iterations: int
    bytes: int


@dataclass(frozen=True)
class Step:
    """One completed iteration."""

    #: From 0, over all scales.
    iteration: int
    #: Of all scales together.
    iterations: int
    #: Width and height of the scale at work.
    scale: tuple[int, int]
    #: The objective at the image before this iteration's step.
    loss: float
    #: The weighted value of every term of the recipe.
    terms: list[float]
    #: The objective of every image of the batch.
    losses: list[float]
    #: Seconds that the iteration took.
    seconds: float
    #: Estimated seconds until the last iteration is done.
    remaining: float | None
    _run: Run | None = field(default=None, repr=False, compare=False)

    def image(self, dtype: DType = "uint8") -> Picture:
        """The picture as it is now: after the last iteration that the run has taken."""
        if self._run is None:
            raise RuntimeError("a progress callback sees no images: iterate over the run for them")
        return self._run.image(dtype)


#: In the order in which the native part tells them.
_FIELDS = ("iteration", "iterations", "scale", "loss", "terms", "losses", "seconds", "remaining")


class Run:
    """A recipe that is ready to run. Iterating over it runs it, a step at a time."""

    def __init__(self, recipe: Recipe, device: DeviceLike = None) -> None:
        self._native = _pixgrad.Run(recipe._native, device_of(device))

    def __len__(self) -> int:
        """Iterations that are left."""
        return self._native.iterations - self._native.done

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Step]:
        return self.steps()

    def steps(self, every: int = 1) -> Iterator[Step]:
        """Runs `every` iterations for each of these steps. A GPU is waited for after each: a few at a time are
        faster."""
        goes_on = True
        while goes_on and len(self) > 0:
            last: dict[str, Any] = {}

            def see(step: tuple[Any, ...]) -> None:
                last.update(zip(_FIELDS, step))

            goes_on = self._native.advance(every, see)
            if last:
                yield Step(**last, _run=self)

    def finish(self, progress: Callable[[Step], bool | None] | None = None) -> Run:
        """Runs all iterations that are left. `progress` sees each and ends the run by returning False."""

        def see(step: tuple[Any, ...]) -> bool | None:
            return None if progress is None else progress(Step(*step))

        self._native.advance(None, None if progress is None else see)
        return self

    def image(self, dtype: DType = "uint8") -> Picture:
        """The picture as it is now, as the command line would write it."""
        return picture_of(self._native.picture(), dtype)

    def images(self, dtype: DType = "uint8") -> list[Picture]:
        """All images of the batch as they are now."""
        return [picture_of(picture, dtype) for picture in self._native.pictures()]

    def _repr_png_(self) -> bytes | None:
        return self.image()._repr_png_()

    @property
    def done(self) -> int:
        """Iterations that are done."""
        return self._native.done

    @property
    def iterations(self) -> int:
        """Iterations of all scales together."""
        return self._native.iterations

    @property
    def plan(self) -> list[Scale]:
        """Every scale, coarsest first, with the bytes that it takes on the device."""
        return [Scale(*scale) for scale in self._native.plan]

    @property
    def notes(self) -> list[str]:
        """What is not as it was asked for, in sentences."""
        return self._native.notes

    @property
    def recipe(self) -> Recipe:
        """The recipe that runs, complete."""
        return Recipe._of(self._native.recipe)

    @property
    def model(self) -> str:
        """The name of the network."""
        return self._native.model


def run(recipe: Recipe | Mapping[str, Any] | str | os.PathLike[str], device: DeviceLike = None) -> Run:
    """Makes a recipe ready to run: a `Recipe`, a dict with the fields of a recipe file, or the path of one.

    >>> for step in pixgrad.run(recipe):
    ...     print(step.loss)
    """
    if isinstance(recipe, (str, os.PathLike)):
        recipe = Recipe.read(recipe)
    elif not isinstance(recipe, Recipe):
        recipe = Recipe(recipe)
    return Run(recipe, device)
