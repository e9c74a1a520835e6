"""Optimizes an image's pixels against a pretrained CNN, on any GPU: style transfer, textures, DeepDream, feature
visualization, adversarial examples.

>>> import pixgrad
>>> picture = pixgrad.style("photo.jpg", ["painting.jpg"], size=512, content_weight=2)
>>> picture.save("painted.png")

Options have the names of the command line's, with `_` between words, and mean the same.
"""

from ._engine import Device, Recipe, Run, Scale, Step, devices, run
from ._errors import DeviceError, Error, NetworkError, PictureError, RecipeError, TooLargeError
from ._methods import dream, fool, invert, style, texture, visualize, zoom
from ._network import Adversarial, Fooling, Gradient, Network, Score, transfer
from ._pictures import Picture
from ._pixgrad import __version__

__all__ = [
    "Adversarial",
    "Device",
    "DeviceError",
    "Error",
    "Fooling",
    "Gradient",
    "Network",
    "NetworkError",
    "Picture",
    "PictureError",
    "Recipe",
    "RecipeError",
    "Run",
    "Scale",
    "Score",
    "Step",
    "TooLargeError",
    "__version__",
    "devices",
    "dream",
    "fool",
    "invert",
    "run",
    "style",
    "texture",
    "transfer",
    "visualize",
    "zoom",
]
