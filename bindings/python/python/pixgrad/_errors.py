"""The exceptions of pixgrad. Their texts are those of the command line."""


class Error(Exception):
    """Anything that can go wrong between a recipe and its picture."""


class RecipeError(Error, ValueError):
    """An option or a recipe asks for something that cannot be."""


class NetworkError(Error, ValueError):
    """A network or a layer is missing or wrong."""


class PictureError(Error, OSError):
    """A picture cannot be read, written or resized."""


class DeviceError(Error, RuntimeError):
    """A device is missing, refuses, or fails."""


class TooLargeError(Error, MemoryError):
    """A plan is larger than the device's memory. The text tells the largest size that fits."""
