"""Every method makes the picture that the command line makes."""

import inspect
import re

import numpy as np
import pytest
from conftest import pixels

import pixgrad

SHORT = {"iterations": 3, "size": 64}


def arguments(options):
    for name, value in options.items():
        yield f"--{name.rstrip('_').replace('_', '-')}"
        if value is not True:
            yield ",".join(map(str, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize(
    ("method", "pictures", "options"),
    [
        ("style", ["content", "painting"], {"content_weight": 2, "style_loss": ["gram:1", "bn:0.5"], "tv_weight": 0.5}),
        ("style", ["content", "painting"], {"preserve_color": "luma", "optimizer": "lbfgs", "init": "gray", "seed": 3}),
        ("texture", ["painting"], {"tileable": True, "style_layers": ["fire2/concat:0.5", "fire3/concat"]}),
        ("dream", ["content"], {"octaves": 2, "layer": "fire6/concat", "jitter": 4}),
        ("invert", ["content"], {"layer": "fire2/concat"}),
        ("visualize", [], {"class_": [285, "goldfish"], "preset": "yosinski3"}),
        ("visualize", [], {"unit": "fire3/concat:5:center", "canvas": "receptive-field", "size": None}),
        ("fool", [], {"class_": "goldfish", "confidence": 0.02, "iterations": 40}),
    ],
)
def test_a_method_equals_the_command_line(cli, cpu, tmp_path, content, painting, method, pictures, options):
    given = {name: value for name, value in {**SHORT, **options}.items() if value is not None}
    files = {"content": content, "painting": painting}
    paths = [files[name] for name in pictures]
    output = tmp_path / "cli.png"
    report = cli(method, *paths, *arguments(given), "-o", output)

    positional = [given.pop("class_")] if method == "fool" else paths
    steps = []
    picture = getattr(pixgrad, method)(*positional, device=cpu, progress=steps.append, **given)
    assert isinstance(picture, pixgrad.Picture) and picture.dtype == np.uint8
    expected = pixels(output)
    assert picture.shape == expected.shape
    assert np.array_equal(picture, expected), np.abs(picture.astype(int) - expected).max()
    if method != "invert":
        assert len(steps) == report["iterations"]


def test_the_frames_of_a_zoom_equal_the_command_lines(cli, cpu, tmp_path, content):
    options = {**SHORT, "octaves": 2}
    cli("dream", content, *arguments(options), "--zoom", 2, "--zoom-step", 0.1, "-o", tmp_path / "dream.png")
    steps = []
    frames = list(pixgrad.zoom(content, 2, zoom_step=0.1, device=cpu, progress=steps.append, **options))
    files = ["dream.png", "dream-000001.png", "dream-000002.png"]
    assert len(frames) == len(files) and len(steps) == 3 * 3 * 2
    for frame, name in zip(frames, files):
        assert np.array_equal(frame, pixels(tmp_path / name)), name


def test_pictures_in_memory_are_as_good_as_files(cpu, content, painting):
    from PIL import Image

    options = {"device": cpu, "iterations": 2, "size": 48, "min_size": 48}
    by_path = pixgrad.style(content, painting, **options)
    as_array = pixgrad.style(pixels(content), [Image.open(painting)], **options)
    assert np.array_equal(by_path, as_array)
    floats = pixels(content).astype(np.float64) / 255
    assert np.array_equal(by_path, pixgrad.style(floats, painting, **options))
    wide = pixels(content).astype(np.uint16) * 257
    assert np.array_equal(by_path, pixgrad.style(wide, painting, **options))
    # A start picture and masks in memory.
    mask = np.zeros((300, 451), np.uint8)
    mask[:, :200] = 255
    left = pixgrad.style(content, painting, init=content, style_mask=mask, **options)
    assert left.shape == by_path.shape and not np.array_equal(left, by_path)


def test_the_signature_tells_the_options():
    names = inspect.signature(pixgrad.style).parameters
    assert {"content", "styles", "content_weight", "iterations", "size", "device"} <= set(names)
    # Neither more nor fewer than the engine reads.
    for method, needed in [
        (pixgrad.style, {}),
        (pixgrad.texture, {}),
        (pixgrad.dream, {}),
        (pixgrad.invert, {"layer": "x"}),
        (pixgrad.visualize, {}),
        (pixgrad.fool, {}),
    ]:
        with pytest.raises(pixgrad.RecipeError) as error:
            pixgrad.Recipe.method(method.__name__, {"no_such_option": 1, **needed})
        match = re.search(r"it has (.*)$", str(error.value))
        known = set(match.group(1).split(", "))
        own = {name.rstrip("_") for name in inspect.signature(method).parameters}
        assert own - {"device", "progress", "dtype"} == known, method.__name__


def test_transparency_is_kept(cpu, cat, painting):
    alpha = np.full((64, 96, 1), 255, np.uint8)
    alpha[:, :10] = 0
    picture = pixgrad.style(np.concatenate([cat, alpha], 2), painting, device=cpu, iterations=1, dtype="float32")
    assert picture.shape == (64, 96, 4) and picture.dtype == np.float32
    assert picture[:, :10, 3].max() == 0 and picture[:, 10:, 3].min() == 1
