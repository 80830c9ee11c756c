"""Writes zoo.json: the losses of 20 steps of PyTorch's AdamW on two networks of shared/zoo, which
tests/zoo/adamw_test.cc compares with, and how far each parameter moved. In float64, since float32
convolutions of PyTorch are wrong on some processors.

The residual network's rate is small: at 1e-3 PyTorch's own float32 is 1.5e-2 away from float64 after
20 steps, since BatchNormalization over 8 samples and ReLU's corners amplify each rounding.

    python3 testdata/optim/make_zoo.py ../shared/zoo       (Debian 12: python3-torchvision, python3-onnx)
"""
import json
import os
import sys

import numpy
import onnx
import onnx.numpy_helper
import torch
import torch.nn.functional as F
import torchvision

STEPS = 20
ZOO = sys.argv[1]
RATES = {"resnet20": 1e-5, "vit_tiny": 1e-3}
# Patterns as --group has them, the first that matches counts; rates as multiples of the network's.
RUNS = {
    "plain": {},
    "groups": {"groups": [["norm", {"weight_decay": 0}],
                          ["*.bias", {"weight_decay": 0, "lr": 2}],
                          ["{head}*", {"lr": 4, "weight_decay": 0.01}]]},
    "accumulate": {"accumulate": 3},
}
WEIGHT_DECAY = 0.05


def options_of(network, head, run):
    """With rates and patterns as simaqat is given them."""
    groups = []
    for pattern, options in RUNS[run].get("groups", []):
        own = dict(options)
        if "lr" in own:
            own["lr"] *= RATES[network]
        groups.append([pattern.replace("{head}", head), own])
    return {"lr": RATES[network], "weight_decay": WEIGHT_DECAY, "groups": groups,
            "accumulate": RUNS[run].get("accumulate", 1)}


class ResNet20(torch.nn.Module):
    """Runs the nodes of its ONNX file."""

    def __init__(self, model):
        super().__init__()
        self.graph = model.graph
        self.values = torch.nn.ParameterDict()
        self.statistics = {}
        for tensor in model.graph.initializer:
            value = torch.tensor(onnx.numpy_helper.to_array(tensor)).double()
            if "running" in tensor.name:
                self.statistics[tensor.name] = value
            else:
                self.values[tensor.name.replace(".", "/")] = torch.nn.Parameter(value)

    def forward(self, x):
        values = {self.graph.input[0].name: x, **self.statistics}
        values.update({name.replace("/", "."): value for name, value in self.values.items()})
        for node in self.graph.node:
            a = {x.name: onnx.helper.get_attribute_value(x) for x in node.attribute}
            i = [values[name] for name in node.input]
            values[node.output[0]] = getattr(self, node.op_type)(a, *i)
        return values[self.graph.output[0].name]

    def Conv(self, a, x, w, b=None):
        return F.conv2d(x, w, b, a["strides"], a["pads"][:2], a["dilations"], a["group"])

    def BatchNormalization(self, a, x, scale, bias, mean, variance):
        return F.batch_norm(x, mean, variance, scale, bias, True, 1 - a["momentum"], a["epsilon"])

    def Relu(self, a, x):
        return F.relu(x)

    def Add(self, a, x, y):
        return x + y

    def GlobalAveragePool(self, a, x):
        return x.mean((2, 3), keepdim=True)

    def Flatten(self, a, x):
        return x.flatten(1)

    def Gemm(self, a, x, w, b):
        return F.linear(x, w, b)


def resnet20():
    network = ResNet20(onnx.load(f"{ZOO}/resnet20/model.onnx"))
    norms = {name for node in network.graph.node if node.op_type == "BatchNormalization"
             for name in node.input[1:3]}
    parameters = {name.replace("/", "."): value for name, value in network.values.items()}
    return network, parameters, norms, "14."


def vit_tiny():
    model = onnx.load(f"{ZOO}/vit_tiny/model.onnx")
    state = {t.name: torch.tensor(onnx.numpy_helper.to_array(t)) for t in model.graph.initializer}
    network = torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=3, num_heads=3, hidden_dim=48, mlp_dim=96,
        num_classes=10, dropout=0.0)
    network.load_state_dict({k: v for k, v in state.items() if k in network.state_dict()})
    network = network.double().train()
    parameters = dict(network.named_parameters())
    norms = {n for n in parameters if ".ln" in n}
    return network, parameters, norms, "heads."


def matches(name, pattern, norms):
    if pattern == "norm":
        return name in norms
    return name.endswith(pattern[1:]) if pattern[0] == "*" else name.startswith(pattern[:-1])


def groups_of(parameters, norms, given):
    groups = [{"params": [], **options} for _, options in given]
    rest = {"params": []}
    for name, value in parameters.items():
        chosen = [g for g, (pattern, _) in zip(groups, given) if matches(name, pattern, norms)]
        (chosen[0] if chosen else rest)["params"].append(value)
    return [g for g in [*groups, rest] if g["params"]]


def train(build, folder, run):
    network, parameters, norms, head = build()
    options = options_of(folder, head, run)
    data = numpy.load(f"{ZOO}/{folder}/batches.npz")
    inputs = torch.tensor(data["traj_input"]).double()
    labels = torch.tensor(data["traj_labels"]).long()
    optimizer = torch.optim.AdamW(groups_of(parameters, norms, options["groups"]), lr=options["lr"],
                                  weight_decay=options["weight_decay"])
    before = {name: value.detach().clone() for name, value in parameters.items()}
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        total = 0
        for k in range(options["accumulate"]):
            at = (step * options["accumulate"] + k) % len(inputs)
            loss = F.cross_entropy(network(inputs[at]), labels[at]) / options["accumulate"]
            loss.backward()
            total += loss.item()
        losses.append(total)
        optimizer.step()
    moved = {name: (value.detach() - before[name]).norm().item()
             for name, value in parameters.items()}
    return {**options, "losses": losses, "moved": moved}


def check(build, folder):
    """The network is that of the file: its first loss is the reference's."""
    network, *_ = build()
    data = numpy.load(f"{ZOO}/{folder}/batches.npz")
    loss = F.cross_entropy(network(torch.tensor(data["input"]).double()),
                           torch.tensor(data["labels"]).long()).item()
    expected = float(numpy.load(f"{ZOO}/{folder}/reference.npz")["loss"])
    assert abs(loss - expected) < 1e-6 * expected, (folder, loss, expected)


document = {}
for build in (resnet20, vit_tiny):
    name = build.__name__
    check(build, name)
    document[name] = {run: train(build, name, run) for run in RUNS}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "zoo.json"), "w") as f:
    json.dump(document, f, indent=1)
    f.write("\n")
