"""The iteration in PyTorch, eager and compiled, on CUDA where there is one and else on the processor."""

import json
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file

STEP, STYLE_WEIGHT, CONTENT_WEIGHT = 0.02, 1000.0, 1.0
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The ReLUs that are read, by the index of the convolution before them in torchvision's `features`; pools stand before these.
READ = {0: "relu1_1", 5: "relu2_1", 10: "relu3_1", 19: "relu4_1"}
POOL_BEFORE = (5, 10, 19)
CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19)


class Vgg19(torch.nn.Module):
    """VGG-19 up to relu4_1, its weights fixed."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        with open(weights, "rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        told = header.get("__metadata__", {}).get("preprocessing", "")
        if told and "0.485" not in told:
            sys.exit(f"{weights}: its preprocessing `{told}` is not torchvision's, which this comparison takes")
        for name, tensor in load_file(weights).items():
            if name.startswith("features.") and int(name.split(".")[1]) in CONVOLUTIONS:
                self.register_buffer(name.replace(".", "_"), tensor.float())
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        x = (image - self.mean) / self.std
        read = []
        for i in CONVOLUTIONS:
            if i in POOL_BEFORE:
                x = torch.nn.functional.max_pool2d(x, 2)
            weight, bias = getattr(self, f"features_{i}_weight"), getattr(self, f"features_{i}_bias")
            x = torch.relu(torch.nn.functional.conv2d(x, weight, bias, padding=1))
            if i in READ:
                read.append(x)
        return read


def gram(x: torch.Tensor) -> torch.Tensor:
    """FFᵀ/N of an activation, in f32."""
    f = x.float().flatten(2)
    return f @ f.transpose(1, 2) / f.shape[2]


class Iteration:
    """Losses, gradient and Adam's step on one device."""

    def __init__(self, task, device: str, half: bool, channels_last: bool) -> None:
        def picture(name: str) -> torch.Tensor:
            planes = numpy.fromfile(task.folder / f"{name}.f32", dtype=numpy.float32)
            return torch.from_numpy(planes.reshape(1, 3, task.size, task.size)).to(device)

        self.network = Vgg19(task.weights).to(device)
        self.half = half
        if channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
        with torch.no_grad():
            self.grams = [gram(x) for x in self.answers(picture("style"))]
            self.content = self.answers(picture("content"))[-1].float()
        start = picture("start")
        if channels_last:
            start = start.to(memory_format=torch.channels_last)
        self.image = start.clone().requires_grad_(True)
        self.adam = torch.optim.Adam([self.image], lr=STEP)
        self.losses = self.terms

    def answers(self, image: torch.Tensor) -> list[torch.Tensor]:
        device = image.device.type
        with torch.autocast(device, dtype=torch.float16, enabled=self.half):
            return self.network(image)

    def terms(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        read = self.answers(image)
        style = sum(
            ((gram(x) - a) ** 2).sum() / (4 * x.shape[1] ** 2) for x, a in zip(read, self.grams)
        )
        content = ((read[-1].float() - self.content) ** 2).mean()
        return STYLE_WEIGHT * style, CONTENT_WEIGHT * content

    def step(self) -> list[float]:
        self.adam.zero_grad(set_to_none=True)
        style, content = self.losses(self.image)
        (style + content).backward()
        self.adam.step()
        with torch.no_grad():
            self.image.clamp_(0, 1)
        return [style, content]


def timed(iteration: Iteration, warm_up: int, runs: int) -> tuple[list[float], numpy.ndarray, list[float]]:
    """Losses and gradient of the first iteration, milliseconds of those after the warm-up."""
    cuda = iteration.image.is_cuda
    times: list[float] = []
    for i in range(warm_up + runs):
        start = time.perf_counter()
        found = iteration.step()
        if cuda:
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
        if i == 0:
            losses = [float(v.detach()) for v in found]
            gradient = iteration.image.grad.detach().float().cpu().contiguous().numpy().copy()
    return losses, gradient, times[warm_up:]


def measure(task, warm_up: int, runs: int, reduced: bool) -> Iterator[dict]:
    """One answer for each way in which PyTorch can run the iteration here."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

    def answer(who: str, precision: str, make: Callable[[], Iteration]) -> dict:
        losses, gradient, ms = timed(make(), warm_up, runs)
        version = torch.__version__
        return {"who": f"PyTorch {version} {who}", "device": name, "precision": precision, "losses": losses,
                "gradient": gradient, "ms": ms}

    def compiled() -> Iteration:
        iteration = Iteration(task, device, half=False, channels_last=False)
        iteration.losses = torch.compile(iteration.terms)
        return iteration

    yield answer("eager", "f32", lambda: Iteration(task, device, half=False, channels_last=False))
    yield answer("eager, channels_last", "f32", lambda: Iteration(task, device, half=False, channels_last=True))
    try:
        yield answer("compiled", "f32", compiled)
    except Exception as error:  # whatever the compiler lacks here
        print(f"torch.compile does not work here: {str(error).splitlines()[0]}", file=sys.stderr)
    if reduced and device == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        yield answer("eager, channels_last", "tf32", lambda: Iteration(task, device, half=False, channels_last=True))
        yield answer("eager, channels_last", "f16", lambda: Iteration(task, device, half=True, channels_last=True))
