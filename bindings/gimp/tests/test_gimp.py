"""The plug-in in GIMP without a window: an image in, a styled layer out. PIXGRAD_GIMP_PLUGINS is the folder that
install.sh has installed it into."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SAMPLES = Path(__file__).resolve().parents[3] / "samples" / "images"


@pytest.fixture(scope="session")
def gimp(tmp_path_factory):
    """Runs a script in GIMP and returns what it prints."""
    home = tmp_path_factory.mktemp("gimp")
    plugins = os.environ["PIXGRAD_GIMP_PLUGINS"]
    (home / "gimprc").write_text(f'(plug-in-path "{plugins}:${{gimp_plug_in_dir}}/plug-ins")\n')

    def run(*scripts):
        environment = {**os.environ, "GIMP2_DIRECTORY": str(home), "HOME": str(home), "PIXGRAD_CACHE": str(home / "c")}
        batches = [word for script in (*scripts, "(gimp-quit 0)") for word in ("-b", script)]
        command = ["gimp-console", "-i", "-f", *batches]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
        return done.stdout + done.stderr

    return run


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.open(SAMPLES / "chelsea.png").convert("RGB").resize((120, 80)).save(path)
    return path


def script(photo, output, style, pattern="", select="", device="cpu", strength=70, size=0, keep=0):
    """Loads, selects, paints, tells the layers, and writes the flattened image and the new layer."""
    return f"""
(let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "{photo}" "{photo}")))
       (drawable (car (gimp-image-get-active-drawable image))))
  {select}
  (let* ((layer (car (plug-in-pixgrad-style RUN-NONINTERACTIVE image drawable "{style}" "{pattern}"
                                            {strength} 100 {keep} {size} 4 "{device}")))
         (offsets (gimp-drawable-offsets layer)))
    (gimp-message (string-append "layers " (number->string (car (gimp-image-get-layers image)))
      " size " (number->string (car (gimp-drawable-width layer))) "x"
      (number->string (car (gimp-drawable-height layer)))
      " at " (number->string (car offsets)) "," (number->string (cadr offsets))))
    (gimp-selection-none image)
    (file-png-save RUN-NONINTERACTIVE image layer "{output}.layer.png" "" 0 9 0 0 0 0 0)
    (file-png-save RUN-NONINTERACTIVE image (car (gimp-image-flatten image)) "{output}" "" 0 9 0 0 0 0 0)))
"""


def opened(path):
    return np.asarray(Image.open(path)).astype(int)


def test_a_styled_layer_comes_out_and_the_rest_is_untouched(gimp, photo, tmp_path):
    output = tmp_path / "out.png"
    select = "(gimp-image-select-ellipse image CHANNEL-OP-REPLACE 20 10 64 48)"
    told = gimp(script(photo, output, SAMPLES / "starry_night.jpg", select=select))
    assert "layers 2 size 64x48 at 20,10" in told, told
    before, after = opened(photo), opened(output)
    y, x = np.mgrid[:80, :120]
    inside = ((x + 0.5 - 52) / 32) ** 2 + ((y + 0.5 - 34) / 24) ** 2
    difference = np.abs(after - before).max(axis=2)
    assert difference[inside > 1.1].max() == 0, "outside the selection nothing has changed"
    assert (difference[inside < 0.9] > 4).mean() > 0.8, "inside it is painted"
    layer = opened(f"{output}.layer.png")
    assert layer.shape == (48, 64, 4)
    assert layer[0, 0, 3] == 0 and layer[24, 32, 3] == 255, "the selection is the layer's alpha"


def test_a_pattern_may_be_the_style_and_colours_are_kept(gimp, photo, tmp_path):
    output = tmp_path / "out.png"
    told = gimp(script(photo, output, "", pattern="Leopard", size=64, keep=1))
    # Painted at 64 pixels and enlarged.
    assert "layers 2 size 120x80 at 0,0" in told, told
    before, after = opened(photo), opened(output)
    assert np.abs(after - before).mean() > 2
    chroma = lambda p: p - p.mean(axis=2, keepdims=True)  # noqa: E731
    small = lambda p: p.reshape(10, 8, 15, 8, 3).mean(axis=(1, 3))  # noqa: E731
    assert np.abs(small(chroma(after)) - small(chroma(before))).mean() < 4, "brightness alone is painted"


def test_errors_are_told_and_nothing_is_changed(gimp, photo, tmp_path):
    output, brick = tmp_path / "out.png", SAMPLES / "brick.png"
    small = "(gimp-layer-resize drawable 20 20 0 0)(gimp-image-select-rectangle image CHANNEL-OP-REPLACE 60 40 9 9)"
    told = gimp(
        script(photo, output, "/no/such.png"),
        script(photo, output, ""),
        script(photo, output, "", pattern="no such pattern"),
        script(photo, output, brick, device="no such device"),
        script(photo, output, brick, select=small),
    )
    for text in [
        "there is no such file",
        "a style is needed: a file or a pattern",
        "there is no pattern 'no such pattern'",
        "no device matches",
        "nothing of the layer is selected",
    ]:
        assert text in told, told
    assert told.count("execution error") == 5, told
    assert not output.exists()
