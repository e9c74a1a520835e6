"""Networks: what one sees in pictures, and what changes its mind."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Union

import numpy as np
import numpy.typing as npt

from . import _pixgrad
from ._engine import DeviceLike, device_of
from ._options import AttackOptions, EvolveOptions, SearchOptions
from ._pictures import DType, Named, Picture, batch_of, native, picture_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._pictures import PictureLike

    #: Pictures: a list, or an array [N, height, width, channels].
    Batch = Union[Sequence[PictureLike], npt.NDArray[Any]]


@dataclass(frozen=True)
class Score:
    """A class with its score."""

    #: The number of the class.
    index: int
    label: str
    probability: float
    #: The score before the softmax.
    logit: float

    @classmethod
    def _of(cls, found: Mapping[str, Any]) -> Score:
        return cls(found["class"], found["label"], found["probability"], found["logit"])


@dataclass(frozen=True)
class Gradient:
    """An objective and its gradient at pictures."""

    #: The sum over all pictures and terms.
    loss: float
    #: The weighted value of every term, over all pictures.
    terms: list[float]
    #: d(loss)/d(picture), [height, width, 3], or [N, height, width, 3] of a batch; pictures are in [0, 1].
    gradient: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Adversarial:
    """A picture after an attack."""

    _picture: _pixgrad.Picture
    #: What the network saw before.
    clean: Score
    #: What it sees now.
    adversarial: Score
    #: The class to be reached.
    target: int | None
    #: Whether the attack had nothing to do: the picture is as it was, which is no success.
    already_seen: bool
    success: bool
    #: How far the picture has moved, in units of [0, 1].
    l2: float
    linf: float
    rms: float
    iterations: int
    #: The weight of the class's loss that led here, where it was searched for.
    c: float | None

    def image(self, dtype: DType = "float32") -> Picture:
        """The picture. As uint8 it is rounded: `survive_8bit` makes attacks that outlast that."""
        return picture_of(self._picture, dtype)

    def _repr_png_(self) -> bytes | None:
        return self.image("uint8")._repr_png_()


@dataclass(frozen=True)
class Fooling:
    """A picture of nothing that a network is sure about."""

    #: The number of the class.
    index: int
    label: str
    #: What the network gives the class for the picture.
    probability: float
    _picture: _pixgrad.Picture

    def image(self, dtype: DType = "uint8") -> Picture:
        return picture_of(self._picture, dtype)

    def _repr_png_(self) -> bytes | None:
        return self.image()._repr_png_()


class Network:
    """A trained network on a device: an embedded or installed name, or a .safetensors, .onnx or .pth file."""

    def __init__(
        self,
        model: str | os.PathLike[str] = "squeezenet1_1",
        device: DeviceLike = None,
        *,
        preprocessing: str | None = None,
        labels: str | os.PathLike[str] | None = None,
    ) -> None:
        labels = None if labels is None else os.fspath(labels)
        self._native = _pixgrad.Network(os.fspath(model), device_of(device), preprocessing, labels)

    @property
    def name(self) -> str:
        return self._native.name

    @property
    def layers(self) -> list[str]:
        """The names of all layers, each after those that it reads."""
        return self._native.layers

    @property
    def class_names(self) -> list[str] | None:
        """The names of the classes; None without a classifier."""
        return self._native.class_names

    def classify(
        self, image: PictureLike, *, top: int = 5, size: int | Literal["crop", "native"] = "crop"
    ) -> list[Score]:
        """The most probable classes of a picture, most probable first, as `pixgrad classify` lists them."""
        found = json.loads(self._native.classify(native(image), top, str(size)))
        return [Score._of(score) for score in found]

    def features(
        self, image: PictureLike, layers: str | Sequence[str], *, size: int | Literal["native"] = "native"
    ) -> dict[str, npt.NDArray[np.float32]]:
        """The activations [channels, height, width] of layers for a picture, as `pixgrad features` writes them."""
        names = layers.split(",") if isinstance(layers, str) else list(layers)
        found = self._native.features(native(image), names, str(size))
        return {name: _floats(array) for name, array in zip(names, found)}

    def gradient(
        self,
        image: PictureLike | Batch,
        terms: Sequence[Mapping[str, Any]],
        **recipe: Any,
    ) -> Gradient:
        """The value of an objective at pictures and its gradient with respect to their pixels; nothing is stepped.

        `terms` are those of a recipe file: ``[{"kind": "logit", "class": 285}]``. Further fields of a recipe may be
        given by name. The pictures of a batch have one size and do not influence each other.
        """
        pictures, is_one = batch_of(image)
        named = Named()
        fields = json.dumps({"term": [dict(term) for term in terms], **recipe}, default=named.json)
        loss, values, array = self._native.gradient(pictures, fields, named.pictures)
        gradient = np.ascontiguousarray(_floats(array).transpose(0, 2, 3, 1))
        return Gradient(loss, values, gradient[0] if is_one else gradient)

    def attack(
        self,
        images: PictureLike | Batch,
        labels: int | str | Sequence[int | str] | None = None,
        *,
        target: int | str | Sequence[int | str] | None = None,
        **options: Unpack[AttackOptions],
    ) -> list[Adversarial]:
        """Changes pictures so that the network sees something else in them, as `pixgrad attack` does.

        `labels` are the pictures' true classes, which are to be left; without them, and without `target`, it is
        whatever the network sees. `target` is a class to reach, one for each picture, or "random". Pictures are
        brought to the network as in its training; `size="native"` leaves them as they are.
        """
        pictures, _ = batch_of(images)
        found = self._native.attack(
            pictures, _classes(labels), _classes(target), _json(options)
        )
        results = []
        for picture, text in found:
            fields = json.loads(text)
            clean, adversarial = (Score._of(fields.pop(name)) for name in ("clean", "adversarial"))
            results.append(Adversarial(picture, clean, adversarial, **fields))
        return results

    def evolve(
        self,
        class_: int | str | None = None,
        *,
        progress: Callable[[int, float], bool | None] | None = None,
        **options: Unpack[EvolveOptions],
    ) -> list[Fooling]:
        """Pictures of nothing by evolution (Nguyen, Yosinski and Clune 2015), as `pixgrad fool --method evolve` makes
        them: of a class, which ends once its probability is `confidence`, else of the `top` classes that the network is
        surest of, surest first. `progress` sees the number of each generation and the probability of the class, or the
        median over all classes; the evolution ends where it returns False."""
        wanted = None if class_ is None else str(class_)
        names = self.class_names
        return [
            Fooling(index, names[index] if names else f"class {index}", probability, picture)
            for index, probability, picture in self._native.evolve(wanted, _json(options), progress)
        ]

    def search(
        self, folder: str | os.PathLike[str], layer: str, **options: Unpack[SearchOptions]
    ) -> dict[str, Any]:
        """The images of a folder that activate channels or directions of a layer most, as `pixgrad search --json`
        tells them."""
        text = self._native.search(os.fspath(folder), _json({"layer": layer, **options}))
        found: dict[str, Any] = json.loads(text)
        return found


def transfer(
    images: Batch,
    networks: Sequence[Network],
    *,
    rms: float = 0.03,
    **options: Unpack[AttackOptions],
) -> list[dict[str, Any]]:
    """Whether pictures made to mislead one network mislead others: the two tables of `pixgrad transfer --json`."""
    pictures, _ = batch_of(images)
    tables = _pixgrad.transfer([n._native for n in networks], pictures, rms, _json(options))
    found: list[dict[str, Any]] = json.loads(tables)
    return found


def _json(options: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in options.items() if value is not None}, default=Named().json)


def _classes(classes: Any) -> list[str] | None:
    if classes is None:
        return None
    if isinstance(classes, (int, str, np.integer)):
        return [str(classes)]
    return [str(name) for name in classes]


def _floats(array: tuple[list[int], bytearray]) -> npt.NDArray[np.float32]:
    shape, data = array
    return np.frombuffer(data, dtype=np.float32).reshape(shape)
