"""The scripts of examples/slurm and examples/kubernetes: their shares together paint every picture once."""

import os
import re
import subprocess
from pathlib import Path

from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[1]
SAMPLES = EXAMPLES.parent / "samples" / "images"


def folder(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(5):
        Image.open(SAMPLES / "chelsea.png").convert("RGB").resize((48, 32)).rotate(9 * i).save(photos / f"{i}.png")
    return photos


def wrapper(tmp_path):
    """A `pixgrad` that is quick, first in PATH."""
    program = os.environ.get("PIXGRAD_BIN", "pixgrad")
    path = tmp_path / "bin" / "pixgrad"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec {program} "$@" --device cpu -i 1 --quiet\n')
    path.chmod(0o755)
    return {**os.environ, "PATH": f"{path.parent}:{os.environ['PATH']}"}


def test_the_jobs_of_an_array_divide_a_folder(tmp_path):
    photos, environment = folder(tmp_path), wrapper(tmp_path)
    painted = []
    for task in range(1, 5):
        script = ["sh", EXAMPLES / "slurm" / "style.sbatch", photos, tmp_path / "painted", SAMPLES / "brick.png"]
        variables = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "4"}
        subprocess.run(script, check=True, env={**environment, **variables}, timeout=120)
        painted.append(len(list((tmp_path / "painted").glob("*.png"))))
    assert painted == [2, 3, 4, 5]


def test_the_pods_of_an_indexed_job_divide_a_folder(tmp_path):
    folder(tmp_path)
    environment = wrapper(tmp_path)
    Image.open(SAMPLES / "brick.png").convert("RGB").save(tmp_path / "style.jpg")
    text = (EXAMPLES / "kubernetes" / "style.yaml").read_text()
    completions = int(re.search(r"completions: (\d+)", text).group(1))
    command = " ".join(re.search(r">-\n((?: {14}.*\n)+)", text).group(1).split())
    assert f"/{completions}" in command, "as many shares as pods"
    command = command.replace("/work/", f"{tmp_path}/")
    for index in range(completions):
        variables = {"JOB_COMPLETION_INDEX": str(index)}
        subprocess.run(["sh", "-c", command], check=True, env={**environment, **variables}, timeout=120)
    assert len(list((tmp_path / "painted").glob("*.png"))) == 5
