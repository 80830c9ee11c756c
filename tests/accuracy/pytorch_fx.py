#!/usr/bin/python3
"""PyTorch's FX graph-mode quantization-aware training, as simaqat trains beside it.

usage: pytorch_fx.py DATASET NETWORK MODEL.onnx CLASSES.txt [options]

Starts from the weights of MODEL.onnx, an FP32 network of export_networks.py trained by simaqat, and
takes the samples in the order, and with the random transforms, in which `simaqat train --seed` has
them; SGD, learning rate and its schedule are the same too. Trains with the default QAT configuration
for x86 processors (fbgemm) and writes the class of each test image, in evaluation, fake-quantized:
Debian's PyTorch has no integer kernels to convert to. Needs python3-torch,
python3-onnx and what datasets.py needs.
"""

import argparse
import math
import sys
import time

import onnx
import onnx.numpy_helper
import torch
import torch.nn.functional as F
from torch.ao.quantization import disable_observer, get_default_qat_qconfig_mapping
from torch.ao.quantization.quantize_fx import prepare_qat_fx

import datasets
import export_networks


def load_weights(model, path):
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor)
              for tensor in onnx.load(path).graph.initializer}
    state = model.state_dict()
    for name in state:
        if name.endswith("num_batches_tracked"):
            continue
        state[name] = torch.from_numpy(stored[name].copy())
    model.load_state_dict(state)


def train(model, data, args):
    sgd = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9,
                          weight_decay=args.weight_decay)
    samples = len(data.labels)
    per_epoch = samples // args.batch_size
    model.train()
    for step in range(args.steps):
        epoch, index = divmod(step, per_epoch)
        if index == 0:
            order = datasets.order_of(samples, args.seed, epoch)
        for group in sgd.param_groups:
            group["lr"] = args.lr * (1 + math.cos(math.pi * step / args.steps)) / 2
        chosen = order[index * args.batch_size:(index + 1) * args.batch_size]
        images, labels = map(torch.from_numpy, data.batch(chosen, args.seed, epoch))
        sgd.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        sgd.step()
        if args.verbose and step % 50 == 0:
            print(f"step {step} loss {loss.item():.6f}", file=sys.stderr)


def classes_of(model, data):
    result = []
    with torch.no_grad():
        for at in range(0, len(data.test_labels), 250):
            images = torch.from_numpy(data.normalized(data.test_images[at:at + 250]))
            result += model(images).argmax(1).tolist()
    return result


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=datasets.READERS)
    parser.add_argument("network", choices=export_networks.NETWORKS)
    parser.add_argument("model")
    parser.add_argument("classes")
    parser.add_argument("--data", required=True, help="the folder of the data set's files")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--weight-decay", type=float, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--float", action="store_true", help="without quantization")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    data = datasets.Data(args.dataset, args.data)
    model = export_networks.make(args.network)
    load_weights(model, args.model)
    start = time.monotonic()
    if not args.float:
        example = (torch.from_numpy(data.normalized(data.test_images[:1])),)
        model = prepare_qat_fx(model.train(), get_default_qat_qconfig_mapping("fbgemm"), example)
    train(model, data, args)
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    model.eval()
    if not args.float:
        model.apply(disable_observer)
    with open(args.classes, "w") as file:
        file.writelines(f"{k}\n" for k in classes_of(model, data))


if __name__ == "__main__":
    main()
