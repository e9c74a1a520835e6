"""What the tests share: pictures, a device, and the command line, which results are compared with."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pixgrad

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "samples" / "images"


@pytest.fixture(scope="session", autouse=True)
def processor(tmp_path_factory):
    """All of this runs on the processor, which every machine has and whose results are the same each time."""
    os.environ["PIXGRAD_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def cpu():
    return pixgrad.Device("cpu")


@pytest.fixture(scope="session")
def network(cpu):
    return pixgrad.Network("squeezenet1_1", cpu)


@pytest.fixture(scope="session")
def cli():
    """Runs `pixgrad` and returns what it prints as JSON."""
    given = os.environ.get("PIXGRAD_BIN")
    if given is None:
        subprocess.run(["cargo", "build", "--release", "--bin", "pixgrad"], cwd=ROOT, check=True)
    binary = given or str(ROOT / "target" / "release" / "pixgrad")

    def run(*args):
        command = [binary, *map(str, args), "--device", "cpu", "--json", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    run.binary = binary
    return run


@pytest.fixture(scope="session")
def content():
    return SAMPLES / "chelsea.png"


@pytest.fixture(scope="session")
def painting():
    return SAMPLES / "starry_night.jpg"


@pytest.fixture(scope="session")
def cat(content):
    """The content, small."""
    return np.asarray(Image.open(content).convert("RGB").resize((96, 64)))


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))
