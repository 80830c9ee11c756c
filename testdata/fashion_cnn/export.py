#!/usr/bin/env python3
"""Writes model.onnx, the quickstart's network, as PyTorch exports it for training.

About 3.3 million multiply-accumulates a sample: small enough to train on two CPU
cores in the time a cup of coffee takes. Freshly initialised: training starts here.

    python3 export.py [OUTPUT.onnx]        (made with torch 1.13.1)
"""

import pathlib
import sys
import warnings

import torch
from torch import nn


def conv_bn(channels_in, channels_out, stride=1):
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
    )


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = conv_bn(channels, channels)
        self.relu1 = nn.ReLU()
        self.conv2 = conv_bn(channels, channels)
        self.relu2 = nn.ReLU()

    def forward(self, x):
        y = self.conv2(self.relu1(self.conv1(x)))
        return self.relu2(y + x)


class FashionCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv_bn(1, 16), nn.ReLU())
        self.down1 = nn.Sequential(conv_bn(16, 24, stride=2), nn.ReLU())
        self.block = Residual(24)
        self.down2 = nn.Sequential(conv_bn(24, 48, stride=2), nn.ReLU())
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(48 * 3 * 3, 10)

    def forward(self, x):
        x = self.down2(self.block(self.down1(self.stem(x))))
        return self.fc(torch.flatten(self.pool(x), 1))


def main():
    here = pathlib.Path(__file__).resolve().parent
    output = sys.argv[1] if len(sys.argv) > 1 else str(here / "model.onnx")
    torch.manual_seed(0)
    # It warns that it leaves out num_batches_tracked, as it should.
    warnings.filterwarnings("ignore", message=".*Removing mutation")
    # The exporter runs the network once on these zeros and keeps what that does to the
    # running statistics: variances of 0.9. Training forgets them within a few steps.
    torch.onnx.export(
        FashionCnn().train(),
        torch.zeros(2, 1, 28, 28),
        output,
        training=torch.onnx.TrainingMode.TRAINING,
        do_constant_folding=False,
        opset_version=17,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}},
    )


if __name__ == "__main__":
    main()
