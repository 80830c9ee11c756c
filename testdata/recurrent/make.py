"""Writes NAME.onnx and NAME.npz for each case below: recurrent networks as PyTorch exports them, with
the loss (mean squared error) and the gradient of every parameter, in float64, which
tests/zoo/recurrent_test.cc compares with.

    python3 testdata/recurrent/make.py     (Debian 12: apt install python3-torch python3-onnx)
"""
import os

import numpy
import torch

FOLDER = os.path.dirname(os.path.abspath(__file__))
INPUT, HIDDEN, STEPS, BATCH, OUTPUT = 5, 4, 6, 3, 2
CASES = {
    "lstm": (torch.nn.LSTM, {}, False),
    "lstm_two_layers_both": (torch.nn.LSTM, {"num_layers": 2, "bidirectional": True}, False),
    "lstm_batch_first_states": (torch.nn.LSTM, {"batch_first": True}, True),
    "lstm_no_bias": (torch.nn.LSTM, {"bias": False, "bidirectional": True}, False),
    "gru": (torch.nn.GRU, {}, False),
    "gru_two_layers_both_states": (torch.nn.GRU, {"num_layers": 2, "bidirectional": True}, True),
    "gru_batch_first": (torch.nn.GRU, {"batch_first": True, "bidirectional": True}, False),
    "rnn_tanh": (torch.nn.RNN, {"bidirectional": True}, True),
    "rnn_relu_two_layers": (torch.nn.RNN, {"nonlinearity": "relu", "num_layers": 2,
                                           "batch_first": True}, False),
}


class Network(torch.nn.Module):
    """A recurrent network and a linear layer on each of its outputs."""

    def __init__(self, kind, options, has_states):
        super().__init__()
        self.recurrent = kind(INPUT, HIDDEN, **options)
        directions = 2 if options.get("bidirectional") else 1
        self.head = torch.nn.Linear(HIDDEN * directions, OUTPUT)
        self.states = None
        if has_states:
            count = options.get("num_layers", 1) * directions
            names = ["h0", "c0"] if kind is torch.nn.LSTM else ["h0"]
            for name in names:
                self.register_parameter(
                    name, torch.nn.Parameter(torch.randn(count, BATCH, HIDDEN) * 0.5))
            self.states = names

    def forward(self, x):
        states = None
        if self.states:
            tensors = [getattr(self, name) for name in self.states]
            states = tuple(tensors) if len(tensors) > 1 else tensors[0]
        return self.head(self.recurrent(x, states)[0])


def write(name, kind, options, has_states):
    network = Network(kind, options, has_states)
    shape = (BATCH, STEPS) if options.get("batch_first") else (STEPS, BATCH)
    x = torch.randn(*shape, INPUT)
    target = torch.randn(*shape, OUTPUT)
    torch.onnx.export(network, x, os.path.join(FOLDER, name + ".onnx"),
                      training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
                      opset_version=17, input_names=["input"], output_names=["output"])
    network.double()
    loss = torch.nn.functional.mse_loss(network(x.double()), target.double())
    loss.backward()
    arrays = {"input": x.numpy(), "target": target.numpy(), "loss": numpy.float64(loss.item())}
    for parameter, value in network.named_parameters():
        arrays["grad/" + parameter] = value.grad.numpy()
    numpy.savez(os.path.join(FOLDER, name + ".npz"), **arrays)


torch.manual_seed(3)
for case, (kind, options, has_states) in CASES.items():
    write(case, kind, options, has_states)
