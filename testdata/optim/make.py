"""Writes trajectories.json: PyTorch's own steps and learning rates, which tests/optim compares with.

    python3 testdata/optim/make.py        (Debian 12: apt install python3-torch)
"""
import json
import os

import torch

STEPS = 20
OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "sgd nesterov weight_decay": (
        torch.optim.SGD, {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
    "adam": (torch.optim.Adam, {"lr": 0.01}),
    "adam weight_decay betas eps": (
        torch.optim.Adam,
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    "adamw": (torch.optim.AdamW, {"lr": 0.01}),
    "adamw weight_decay betas eps": (
        torch.optim.AdamW,
        {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-4, "weight_decay": 0.3}),
}
EPOCH = 4  # steps
SCHEDULES = {
    "multistep": lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [3, 9, 10], gamma=0.3),
    "exponential": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda s: 0.7 ** (s // EPOCH)),
    "polynomial": lambda o: torch.optim.lr_scheduler.PolynomialLR(o, STEPS, power=2.5),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.001),
    "cosine_restarts": lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        o, T_0=4, T_mult=2, eta_min=0.002),
    "onecycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(
        o, 0.1, total_steps=STEPS, cycle_momentum=False),
}


def numbers(tensor):
    return [float(x) for x in tensor]


def trajectory(optimizer, options, weights, gradients):
    w = torch.nn.Parameter(weights.double().clone())
    steps = optimizer([w], **options)
    after = []
    for gradient in gradients:
        w.grad = gradient.double().clone()
        steps.step()
        after.append(numbers(w.detach()))
    return after


def rates(make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = make(optimizer)
    result = []
    for _ in range(STEPS):
        result.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return result


torch.manual_seed(1)
weights = torch.randn(11)
# Of several magnitudes, zero among them.
gradients = torch.randn(STEPS, 11) * torch.logspace(-4, 2, 11)
gradients[:, 3] = 0
gradients[5, 4] = 0
document = {
    "weights": numbers(weights),
    "gradients": [numbers(g) for g in gradients],
    "optimizers": {
        name: {"options": options, "weights": trajectory(optimizer, options, weights, gradients)}
        for name, (optimizer, options) in OPTIMIZERS.items()
    },
    "rates": {name: rates(make) for name, make in SCHEDULES.items()},
}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "trajectories.json"), "w") as f:
    json.dump(document, f, indent=1)
    f.write("\n")
