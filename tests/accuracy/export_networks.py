#!/usr/bin/env python3
"""Writes the networks of the accuracy measurements, as PyTorch exports them for training.

usage: export_networks.py FOLDER

Two kinds for each of two sizes of image: residual (He 2015, its CIFAR form: 3 stages of so many
blocks) and inverted residual with depthwise convolutions (Sandler 2018). Weights are random: the
measurements start with `train --init random`. Needs python3-torch.
"""

import sys

import torch
from torch import nn


def conv_bn(inputs, outputs, kernel=3, stride=1, groups=1, activation=None):
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
              nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([activation] if activation else []))


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = conv_bn(inputs, outputs, stride=stride, activation=nn.ReLU())
        self.second = conv_bn(outputs, outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv_bn(inputs, outputs, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.second(self.first(x)) + self.shortcut(x))


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, expansion=4):
        super().__init__()
        hidden = inputs * expansion
        self.layers = nn.Sequential(
            conv_bn(inputs, hidden, 1, activation=nn.ReLU6()),
            conv_bn(hidden, hidden, 3, stride, hidden, activation=nn.ReLU6()),
            conv_bn(hidden, outputs, 1))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.layers(x) if self.adds else self.layers(x)


def network(block, channels, blocks, images, stem_stride):
    widths = [channels, 2 * channels, 4 * channels]
    activation = nn.ReLU() if block is Residual else nn.ReLU6()
    layers = [conv_bn(images, channels, stride=stem_stride, activation=activation)]
    inputs = channels
    for stage, width in enumerate(widths):
        for k in range(blocks):
            layers.append(block(inputs, width, 2 if stage > 0 and k == 0 else 1))
            inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


# Block, channels of the first stage, blocks a stage, the images' channels and side, the stem's stride.
NETWORKS = {
    "residual_28": (Residual, 16, 2, 1, 28, 1),
    "inverted_residual_28": (InvertedResidual, 16, 2, 1, 28, 2),
    "residual_32": (Residual, 16, 2, 3, 32, 2),
    "inverted_residual_32": (InvertedResidual, 16, 2, 3, 32, 2),
}


def make(name):
    block, channels, blocks, images, _, stem_stride = NETWORKS[name]
    return network(block, channels, blocks, images, stem_stride)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.manual_seed(0)
    for name, (_, _, _, images, side, _) in NETWORKS.items():
        torch.onnx.export(
            make(name).train(), torch.zeros(2, images, side, side), f"{sys.argv[1]}/{name}.onnx",
            training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
            opset_version=17, input_names=["input"], output_names=["logits"],
            dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}})


if __name__ == "__main__":
    main()
