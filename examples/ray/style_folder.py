"""Paints every picture of a folder on the machines of a Ray cluster.

    python style_folder.py PHOTOS PAINTED STYLE [STYLE ...] [--workers N] [--size PIXELS] [--iterations N] [--device NAME]

Each worker holds a device and its network for as long as it lives. A worker that dies is replaced, and the pictures
that it had not written are painted by others. A picture that is there already is not painted again. Both folders are
seen by all machines.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import ray

import pixgrad

#: What Ray counts as one picture: a worker asks for the next when it has written one.
BATCH = 1


class Painter:
    """A worker."""

    def __init__(self, output: str, styles: list[str], device: str | None, options: dict) -> None:
        self.output, self.styles, self.options = Path(output), styles, options
        self.device = pixgrad.Device(device)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list]:
        status = [self.paint(Path(path)) for path in batch["item"]]
        return {"picture": list(batch["item"]), "status": status, "worker": [os.getpid()] * len(status)}

    def paint(self, path: Path) -> str:
        target = self.output / f"{path.name}.png"
        if target.exists():
            return "there already"
        try:
            picture = pixgrad.style(path, self.styles, device=self.device, **self.options)
        except pixgrad.PictureError as error:
            # The others are painted all the same.
            return str(error)
        unfinished = self.output / f".{path.name}.{os.uname().nodename}-{os.getpid()}.png"
        try:
            picture.save(unfinished)
            # The name appears with the whole picture, and only for the first that has one.
            os.link(unfinished, target)
        except FileExistsError:
            return "there already"
        finally:
            unfinished.unlink(missing_ok=True)
        return "painted"


def paint_folder(
    photos: str, output: str, styles: list[str], workers: int, device: str | None = None, **options: int
) -> list[dict]:
    """Paints all pictures; what has become of each."""
    Path(output).mkdir(parents=True, exist_ok=True)
    paths = sorted(str(path) for path in Path(photos).iterdir() if path.is_file() and path.name[0] != ".")
    pictures = ray.data.from_items(paths).repartition(max(len(paths), 1))
    painted = pictures.map_batches(
        Painter,
        fn_constructor_args=(output, [os.path.abspath(style) for style in styles], device, options),
        batch_size=BATCH,
        concurrency=workers,
        # With GPUs: num_gpus=1.
        num_cpus=1,
    )
    return painted.take_all()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos")
    parser.add_argument("output")
    parser.add_argument("styles", nargs="+")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--device")
    asked = vars(parser.parse_args())
    for row in paint_folder(**asked):
        print(f"{row['picture']}: {row['status']}")


if __name__ == "__main__":
    main()
