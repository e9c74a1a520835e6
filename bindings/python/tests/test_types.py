"""The package is typed, and its stubs are those of the native module."""

import subprocess
import sys
from pathlib import Path

import pixgrad


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_is_typed():
    run(sys.executable, "-m", "mypy", "--strict", "python/pixgrad")


def test_the_stubs_are_complete():
    run(sys.executable, "-m", "mypy.stubtest", "--ignore-missing-stub", "pixgrad._pixgrad")


def test_the_version_is_the_crates():
    from importlib.metadata import version

    assert pixgrad.__version__ == version("pixgrad")
