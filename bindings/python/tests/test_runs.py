"""Recipes, runs step by step, errors, and what stops a run."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from conftest import pixels

import pixgrad

RECIPE = {
    "model": "squeezenet1_1",
    "image": {"size": 48},
    "term": [
        {"kind": "content", "layers": ["fire2/concat"], "target": None},
        {"kind": "tv", "weight": 2},
    ],
    "optimizer": {"kind": "adam", "step_size": 0.02, "iterations": 6},
}


@pytest.fixture
def recipe(cat):
    terms = [{**RECIPE["term"][0], "target": cat}, RECIPE["term"][1]]
    return {**RECIPE, "term": terms, "image": {**RECIPE["image"], "init": "noise"}}


def test_iterating_runs_a_recipe(cpu, recipe):
    from tqdm import tqdm

    run = pixgrad.run(recipe, cpu)
    assert len(run) == 6 and run.plan[0].iterations == 6 and run.plan[0].bytes > 0
    steps, images = [], []
    for step in tqdm(run, disable=True):
        steps.append(step)
        images.append(step.image())
    assert [step.iteration for step in steps] == list(range(6))
    assert steps[-1].loss < steps[0].loss
    assert all(abs(sum(step.terms) - step.loss) < 1e-5 * step.loss for step in steps)
    assert not np.array_equal(images[0], images[-1])
    assert len(run) == 0 and run.done == 6
    # All at once, or several at a time, is the same.
    assert np.array_equal(pixgrad.run(recipe, cpu).finish().image(), images[-1])
    run = pixgrad.run(recipe, cpu)
    assert [step.iteration for step in run.steps(every=4)] == [3, 5]
    assert np.array_equal(run.image(), images[-1])


def test_recipes_come_from_dicts_texts_and_files(cpu, tmp_path, content, cli):
    fields = {**RECIPE, "term": [{**RECIPE["term"][0], "target": str(content)}, RECIPE["term"][1]]}
    recipe = pixgrad.Recipe(fields)
    text = recipe.to_toml()
    assert pixgrad.Recipe(text).to_dict() == recipe.to_dict()
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    picture = pixgrad.run(path, cpu).finish().image()
    output = tmp_path / "cli.png"
    cli("run", path, "-o", output)
    assert np.array_equal(picture, pixels(output))


def test_progress_may_end_a_run(cpu, content, painting):
    seen = []

    def progress(step):
        seen.append(step.iteration)
        return step.iteration < 2

    picture = pixgrad.style(content, painting, device=cpu, size=48, iterations=50, progress=progress)
    assert picture.shape[1] == 48 and len(seen) < 10


def test_an_exception_in_a_callback_comes_out(cpu, recipe):
    run = pixgrad.run(recipe, cpu)

    def fail(step):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run.finish(fail)
    with pytest.raises(pixgrad.RecipeError, match="at work"):
        run.finish(lambda step: run.image())
    assert run.finish().done == 6, "the run is still good"


def test_ctrl_c_ends_a_run(cpu, recipe):
    run = pixgrad.run({**recipe, "optimizer": {"iterations": 1_000_000}}, cpu)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run.finish()
    assert time.monotonic() - start < 20
    assert 0 < run.done < 1_000_000
    assert run.image().shape[1] == 48


def test_other_threads_run_meanwhile(cpu, recipe):
    run = pixgrad.run({**recipe, "optimizer": {"iterations": 200}}, cpu)
    worker = threading.Thread(target=run.finish)
    worker.start()
    ticks = 0
    while worker.is_alive():
        ticks += 1
        time.sleep(0.001)
    worker.join()
    assert run.done == 200
    # With the lock held there would be none but before and after.
    assert ticks > 10


@pytest.mark.parametrize(
    ("call", "error", "builtin", "text"),
    [
        (lambda d, c: pixgrad.style(c, c, device=d, size=0), pixgrad.RecipeError, ValueError, "size: it must be a whole"),
        (lambda d, c: pixgrad.style(c, c, device=d, sice=9), pixgrad.RecipeError, ValueError, "has no option `sice`"),
        (lambda d, c: pixgrad.style(c, [], device=d), pixgrad.RecipeError, ValueError, "at least one picture"),
        (lambda d, c: pixgrad.style("no.png", c, device=d), pixgrad.PictureError, OSError, "there is no such file"),
        (lambda d, c: pixgrad.style(c, c, device="no such"), pixgrad.DeviceError, RuntimeError, "no device matches"),
        (lambda d, c: pixgrad.style(c, c, device=d, model="x"), pixgrad.NetworkError, ValueError, "`x`"),
        (lambda d, c: pixgrad.invert(c, "x", device=d), pixgrad.NetworkError, ValueError, "`x`"),
        (lambda d, c: pixgrad.style(c, c, device=pixgrad.Device("cpu", memory="1M"), size=128, iterations=1),
         pixgrad.TooLargeError, MemoryError, "needs"),
        (lambda d, c: pixgrad.Device("cpu", memory="x"), pixgrad.RecipeError, ValueError, "such as 600M"),
        (lambda d, c: pixgrad.Recipe({"colour": 1}), pixgrad.RecipeError, ValueError, "unknown field `colour`"),
        (lambda d, c: pixgrad.Recipe("colour = 1"), pixgrad.RecipeError, ValueError, "unknown field `colour`"),
        (lambda d, c: pixgrad.run({"term": []}, d), pixgrad.RecipeError, ValueError, ""),
        (lambda d, c: pixgrad.style(3, c, device=d), pixgrad.RecipeError, ValueError, "content: it must be a picture"),
        (lambda d, c: pixgrad.style({c}, c, device=d), TypeError, TypeError, "a path, a PIL image or a numpy array"),
        (lambda d, c: pixgrad.style(np.zeros((3, 3, 5)), c, device=d), TypeError, TypeError, "3x3x5"),
        (lambda d, c: pixgrad.style(np.zeros((3, 3), np.int64), c, device=d), TypeError, TypeError, "int64"),
        (lambda d, c: pixgrad.style(np.full((9, 9, 3), np.nan), c, device=d), pixgrad.PictureError, OSError, "finite"),
    ],
)
def test_errors_are_exceptions_with_the_engines_texts(cpu, content, call, error, builtin, text):
    with pytest.raises(error) as raised:
        call(cpu, content)
    assert isinstance(raised.value, builtin)
    assert text in str(raised.value)


def test_pictures_show_themselves_and_save(tmp_path, cat):
    picture = pixgrad._pictures.picture_of(pixgrad._pictures.native(cat))
    assert np.array_equal(picture, cat)
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert picture[0]._repr_png_() is None
    path = tmp_path / "cat.png"
    picture.save(path)
    from PIL import Image

    assert np.array_equal(np.asarray(Image.open(path)), cat)
    with pytest.raises(pixgrad.PictureError, match="extension"):
        picture.save(tmp_path / "cat.xyz")


def test_devices_are_listed(cpu):
    assert any(device["backend"] == "cpu" for device in pixgrad.devices())
    assert cpu.backend == "cpu" and cpu.name
    assert pixgrad._engine.device_of("cpu") is pixgrad._engine.device_of("cpu"), "opened once"
