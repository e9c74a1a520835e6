"""The networks in PyTorch, as far as the terms read them, their weights fixed."""

import torch
from safetensors.torch import load_file
from torch.nn.functional import conv2d, max_pool2d

from task import Task


class Network(torch.nn.Module):
    """Weights by torchvision's names, and the preprocessing that their file names."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.read = {*task.network.style_layers, task.network.content_layer}
        for name, tensor in load_file(task.weights).items():
            if name.startswith("features."):
                self.register_buffer(name.replace(".", "_"), tensor.float())
        self.register_buffer("mean", torch.tensor(task.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(task.std).view(1, 3, 1, 1))

    def relu_conv(self, x: torch.Tensor, name: str, padding: int = 0, stride: int = 1) -> torch.Tensor:
        weight, bias = getattr(self, f"features_{name}_weight"), getattr(self, f"features_{name}_bias")
        return torch.relu(conv2d(x, weight, bias, padding=padding, stride=stride))

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """What each of the layers that are read answers."""
        read = {}
        for layer, x in self.layers((image - self.mean) / self.std):
            if layer in self.read:
                read[layer] = x
            if len(read) == len(self.read):
                break
        return read


class Vgg19(Network):
    """Simonyan and Zisserman 2015, to relu4_1."""

    CONVOLUTIONS = {
        0: "relu1_1",
        2: "relu1_2",
        5: "relu2_1",
        7: "relu2_2",
        10: "relu3_1",
        12: "relu3_2",
        14: "relu3_3",
        16: "relu3_4",
        19: "relu4_1",
    }

    def layers(self, x):
        for i, layer in self.CONVOLUTIONS.items():
            if i in (5, 10, 19):
                x = max_pool2d(x, 2)
            x = self.relu_conv(x, str(i), padding=1)
            yield layer, x


class SqueezeNet(Network):
    """SqueezeNet 1.1, to fire9."""

    FIRES = {3: 2, 4: 3, 6: 4, 7: 5, 9: 6, 10: 7, 11: 8, 12: 9}

    def layers(self, x):
        x = self.relu_conv(x, "0", stride=2)
        yield "relu_conv1", x
        for i, fire in self.FIRES.items():
            if i in (3, 6, 9):
                x = max_pool2d(x, 3, stride=2, ceil_mode=True)
            squeezed = self.relu_conv(x, f"{i}_squeeze")
            expand1x1 = self.relu_conv(squeezed, f"{i}_expand1x1")
            expand3x3 = self.relu_conv(squeezed, f"{i}_expand3x3", padding=1)
            x = torch.cat([expand1x1, expand3x3], 1)
            yield f"fire{fire}/concat", x


def network(task: Task) -> Network:
    return {"vgg19": Vgg19, "squeezenet1_1": SqueezeNet}[task.network.name](task)
