"""Writes zoo.json: the losses of 20 steps of PyTorch's AdamW on two networks of shared/zoo, which
tests/zoo/adamw_test.cc compares with. In float64, since float32 convolutions of PyTorch are wrong on
some processors.

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
# Patterns as --group has them, the first that matches counts.
RUNS = {
    "plain": {"lr": 1e-3, "weight_decay": 0.05},
    "groups": {"lr": 1e-3, "weight_decay": 0.05,
               "groups": [["norm", {"weight_decay": 0}],
                          ["*.bias", {"weight_decay": 0, "lr": 2e-3}],
                          ["{head}*", {"lr": 4e-3, "weight_decay": 0.01}]]},
    "accumulate": {"lr": 1e-3, "weight_decay": 0.05, "accumulate": 3},
}


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


def matches(name, pattern, norms, head):
    if pattern == "norm":
        return name in norms
    pattern = pattern.replace("{head}", head)
    return name.endswith(pattern[1:]) if pattern[0] == "*" else name.startswith(pattern[:-1])


def groups_of(parameters, norms, head, run):
    groups = [{"params": [], **options} for _, options in run.get("groups", [])]
    rest = {"params": []}
    for name, value in parameters.items():
        chosen = [g for g, (pattern, _) in zip(groups, run.get("groups", []))
                  if matches(name, pattern, norms, head)]
        (chosen[0] if chosen else rest)["params"].append(value)
    return [g for g in [*groups, rest] if g["params"]]


def losses(build, folder, run, trajectory=None):
    network, parameters, norms, head = build()
    data = numpy.load(f"{ZOO}/{folder}/batches.npz")
    inputs = torch.tensor(data["traj_input"]).double()
    labels = torch.tensor(data["traj_labels"]).long()
    optimizer = torch.optim.AdamW(groups_of(parameters, norms, head, run), lr=run["lr"],
                                  weight_decay=run["weight_decay"])
    accumulate = run.get("accumulate", 1)
    result = []
    for step in range(STEPS):
        optimizer.zero_grad()
        total = 0
        for k in range(accumulate):
            at = (step * accumulate + k) % len(inputs)
            loss = F.cross_entropy(network(inputs[at]), labels[at]) / accumulate
            loss.backward()
            total += loss.item()
        result.append(total)
        optimizer.step()
    return result


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
    document[name] = {
        run: {**options,
              "groups": [[p.replace("{head}", build()[3]), o]
                         for p, o in options.get("groups", [])],
              "losses": losses(build, name, options)}
        for run, options in RUNS.items()}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "zoo.json"), "w") as f:
    json.dump(document, f, indent=1)
    f.write("\n")
