"""Pictures: what the package takes as one, and what it returns."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, Union

import numpy as np
import numpy.typing as npt

from . import _pixgrad

if TYPE_CHECKING:
    from PIL import Image as PilImage

    #: A picture: a path, a PIL image, or an array [height, width] or [height, width, channels] of uint8, uint16 or
    #: floats in [0, 1], with 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha) channels.
    PictureLike = Union[str, os.PathLike[str], npt.NDArray[Any], PilImage.Image]

DType = Literal["uint8", "uint16", "float32"]


class Picture(np.ndarray[Any, np.dtype[Any]]):
    """An array [height, width, channels] of an sRGB picture, RGB or RGB and alpha, which notebooks show."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a .png, .jpg, .webp or .tif file, whole or not at all. PNG has 8 bits per channel, TIFF 16."""
        native(self).save(os.fspath(path))

    def _repr_png_(self) -> bytes | None:
        # A part of a picture, such as a row, is an array like any other.
        is_picture = self.ndim == 3 and self.shape[2] in (3, 4) and self.size > 0
        return native(self).png() if is_picture else None


def native(picture: PictureLike) -> _pixgrad.Picture:
    """A picture as the engine has it."""
    if isinstance(picture, (str, os.PathLike)):
        return _pixgrad.Picture.open(os.fspath(picture))
    return _native(_array(picture))


def _array(picture: Any) -> npt.NDArray[Any]:
    if hasattr(picture, "getbands") and hasattr(picture, "convert"):  # PIL, which need not be there
        mode = picture.mode
        if mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in picture.info:
            picture = picture.convert("RGBA")
        elif mode not in ("L", "RGB", "RGBA", "I;16", "I;16L", "I;16B", "I;16N"):
            picture = picture.convert("RGB")
        return np.asarray(picture)
    if isinstance(picture, np.ndarray):
        return picture
    raise TypeError(f"a picture is a path, a PIL image or a numpy array, not {type(picture).__name__}")


def _native(array: npt.NDArray[Any]) -> _pixgrad.Picture:
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        shape = "x".join(map(str, array.shape))
        raise TypeError(f"a picture is an array [height, width, 1 to 4 channels], not one of {shape}")
    if array.dtype.kind == "f":
        array = array.astype(np.float32, copy=False)
    elif array.dtype not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise TypeError(f"a picture is an array of uint8, uint16 or floats in [0, 1], not of {array.dtype}")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return _pixgrad.Picture(np.ascontiguousarray(array).tobytes(), array.dtype.name, array.shape)


def picture_of(picture: _pixgrad.Picture, dtype: DType = "uint8") -> Picture:
    """A picture of the engine as an array."""
    values = np.frombuffer(picture.data(dtype), dtype=dtype)
    return values.reshape(picture.shape).view(Picture)


def batch_of(pictures: Any) -> tuple[list[_pixgrad.Picture], bool]:
    """The pictures of an argument that may be one, several, or an array [N, height, width, channels]; and whether it
    was one."""
    if isinstance(pictures, np.ndarray) and pictures.ndim == 4:
        return [_native(picture) for picture in pictures], False
    if isinstance(pictures, (list, tuple)):
        return [native(picture) for picture in pictures], False
    return [native(pictures)], True


class Named:
    """Puts pictures in memory aside, under names, so that options and recipes can be JSON."""

    def __init__(self) -> None:
        self.pictures: dict[str, _pixgrad.Picture] = {}

    def json(self, value: Any) -> Any:
        """A value of JSON in place of what it cannot hold."""
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, np.ndarray) and value.ndim == 1:
            return value.tolist()
        picture = _native(_array(value))
        # No file has such a name.
        name = f"\N{REPLACEMENT CHARACTER}picture {len(self.pictures)}"
        self.pictures[name] = picture
        return name
