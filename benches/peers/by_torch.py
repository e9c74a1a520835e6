"""The iteration in PyTorch, eager and compiled, on CUDA where there is one and else on the processor."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy
import torch

from networks import network
from task import CONTENT_WEIGHT, STEP, STYLE_WEIGHT, Task

@dataclass
class Way:
    """One of the ways to run the iteration."""

    name: str
    precision: str = "f32"
    compiled: bool = False
    channels_last: bool = False


PLAIN = (Way("eager"), Way("eager, channels_last", channels_last=True), Way("compiled", compiled=True))
REDUCED = tuple(
    Way(f"{'compiled' if compiled else 'eager'}, channels_last", precision, compiled, channels_last=True)
    for precision in ("tf32", "f16")
    for compiled in (False, True)
)


def gram(x: torch.Tensor) -> torch.Tensor:
    """FFᵀ/N of an activation, in f32."""
    f = x.float().flatten(2)
    return f @ f.transpose(1, 2) / f.shape[2]


class Iteration:
    """Losses, gradient and Adam's step on one device."""

    def __init__(self, task: Task, device: str, way: Way) -> None:
        layout = torch.channels_last if way.channels_last else torch.contiguous_format

        def picture(name: str) -> torch.Tensor:
            planes = numpy.fromfile(task.folder / f"{name}.f32", dtype=numpy.float32)
            return torch.from_numpy(planes.reshape(1, 3, task.size, task.size)).to(device, memory_format=layout)

        self.half = way.precision == "f16"
        self.network = network(task).to(device, memory_format=layout)
        self.layers, self.content_layer = task.network.style_layers, task.network.content_layer
        with torch.no_grad():
            style = self.answers(picture("style"))
            self.grams = [gram(style[layer]) for layer in self.layers]
            self.content = self.answers(picture("content"))[self.content_layer].float()
        self.image = picture("start").requires_grad_(True)
        self.adam = torch.optim.Adam([self.image], lr=STEP)
        self.losses = torch.compile(self.terms) if way.compiled else self.terms

    def answers(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        with torch.autocast(image.device.type, dtype=torch.float16, enabled=self.half):
            return self.network(image)

    def terms(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        read = self.answers(image)
        styles = zip((read[layer] for layer in self.layers), self.grams)
        style = sum(((gram(x) - a) ** 2).sum() / (4 * x.shape[1] ** 2) for x, a in styles)
        content = ((read[self.content_layer].float() - self.content) ** 2).mean()
        return STYLE_WEIGHT * style, CONTENT_WEIGHT * content

    def step(self) -> tuple[torch.Tensor, torch.Tensor]:
        self.adam.zero_grad(set_to_none=True)
        style, content = self.losses(self.image)
        (style + content).backward()
        self.adam.step()
        with torch.no_grad():
            self.image.clamp_(0, 1)
        return style, content


def timed(iteration: Iteration, warm_up: int, runs: int) -> dict:
    """Losses of the first two iterations, gradient of the first, milliseconds of those after the warm-up."""
    times, losses = [], []
    for i in range(warm_up + runs):
        start = time.perf_counter()
        found = iteration.step()
        if iteration.image.is_cuda:
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
        if i < 2:
            losses.append([float(value.detach()) for value in found])
        if i == 0:
            gradient = iteration.image.grad.detach().float().cpu().contiguous().numpy().copy()
    return {"losses": losses, "gradient": gradient, "ms": times[warm_up:]}


def first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def measure(task: Task, warm_up: int, runs: int, reduced: bool) -> Iterator[dict]:
    """One answer for each way in which PyTorch can run the iteration here."""
    kind, device, name = "cpu", "cpu", f"cpu, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        kind, device, name = "gpu", "cuda", torch.cuda.get_device_name()
    # Every shape comes again in each iteration: let cuDNN try its ways during the warm-up.
    torch.backends.cudnn.benchmark = True
    for way in PLAIN + (REDUCED if reduced and device == "cuda" else ()):
        tf32 = way.precision == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        torch.compiler.reset()
        try:
            answer = timed(Iteration(task, device, way), warm_up, runs)
        except Exception as error:
            if not way.compiled:
                raise
            # Whatever the compiler lacks here.
            print(f"torch.compile does not work here: {first_line(error)}", file=sys.stderr)
            continue
        who = f"PyTorch {torch.__version__} {way.name}"
        yield {**answer, "who": who, "device": name, "kind": kind, "precision": way.precision}
