"""On a local cluster of two workers, one of which is killed: every picture is painted, and none twice."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ray = pytest.importorskip("ray", reason="Ray is not installed")

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "images"
COUNT = 12


@pytest.fixture
def cluster(monkeypatch):
    here = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(here)
    # Two for the workers, the others for what hands the pictures out.
    environment = {"env_vars": {"PYTHONPATH": here}}
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    yield
    ray.shutdown()


def painters():
    """The processes of the workers."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if b"ray::MapWorker" in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                pass
    return found


@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_dies_is_replaced_and_no_picture_is_lost_or_painted_twice(cluster, tmp_path):
    from style_folder import paint_folder

    photos, output = tmp_path / "photos", tmp_path / "painted"
    photos.mkdir()
    base = Image.open(SAMPLES / "chelsea.png").convert("RGB").resize((96, 64))
    for i in range(COUNT):
        base.rotate(30 * i).save(photos / f"{i:02}.png")
    (photos / "broken.png").write_bytes(b"no picture")
    killed = []

    def kill():
        # As soon as something is painted, while the rest is on its way.
        while not list(output.glob("[0-9]*.png")):
            time.sleep(0.02)
        killed.extend(painters()[:1])
        for process in killed:
            os.kill(process, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    rows = paint_folder(
        str(photos), str(output), [str(SAMPLES / "starry_night.jpg")], 2, "cpu", size=96, iterations=12
    )
    killer.join(timeout=10)
    assert len(killed) == 1, "a worker was killed"
    status = {Path(row["picture"]).name: row["status"] for row in rows}
    assert len(rows) == len(status) == COUNT + 1
    assert "is not an image" in status.pop("broken.png")
    # A picture of the killed worker may have been there when it was asked for again.
    assert set(status.values()) <= {"painted", "there already"}
    assert list(status.values()).count("there already") <= 1
    painted = sorted(path.name for path in output.glob("[0-9]*.png"))
    assert painted == [f"{i:02}.png.png" for i in range(COUNT)]
    for path in output.glob("[0-9]*.png"):
        assert np.asarray(Image.open(path)).std() > 5
    # Again: nothing is left to do.
    times = {path: path.stat().st_mtime_ns for path in output.glob("[0-9]*.png")}
    again = paint_folder(str(photos), str(output), [str(SAMPLES / "starry_night.jpg")], 2, "cpu", size=96)
    assert [row["status"] for row in again].count("there already") == COUNT
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
