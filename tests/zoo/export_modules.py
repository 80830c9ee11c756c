#!/usr/bin/env python3
"""Holds single modules of PyTorch, as its exporter writes them, against PyTorch and ONNX Runtime.

Each module stands between a convolution with BatchNormalization and a linear layer. Compared are one
FP32 step (the loss and the gradient of every parameter with PyTorch's in float64, and that nothing
else trains), and the exported quantized file in `predict` with ONNX Runtime, with and without its
optimizations. Prints a line for each; exit status 1 where any fails.

Needs Debian's python3-torch and python3-onnx (run it with /usr/bin/python3), and node with
tests/onnxruntime's packages."""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import warnings

import numpy
import onnx
import onnx.numpy_helper
import torch
import torch.nn.functional as F
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
C, SIZE, SAMPLES = 8, 12, 16
POSITIONS = SIZE * SIZE


class Fn(nn.Module):
    """A function of the input and of the modules and parameters that it is given."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


class Network(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, C, 3, padding=1), nn.BatchNorm2d(C)
        self.body, self.head = body, nn.Linear(C, 10)

    def forward(self, x):
        y = self.body(torch.tanh(self.norm(self.stem(x))))
        return self.head(y.flatten(2).mean(2) if y.dim() > 2 else y)


def parameter(*dims):
    return nn.Parameter(torch.randn(*dims) * 0.3)


def conv(*args, **options):
    return nn.Conv2d(C, C, *args, **options)


def tokens(x):
    """[N, C, H, W] as [N, H * W, C]."""
    return x.flatten(2).transpose(1, 2)


def image(t):
    return t.transpose(1, 2)


def standardized(weight):
    mean = weight.mean((1, 2, 3), keepdim=True)
    return (weight - mean) / (weight.std((1, 2, 3), keepdim=True) + 1e-5)


def standardized_with_gain(s):
    variance, mean = torch.var_mean(s.w, (1, 2, 3), keepdim=True, unbiased=False)
    scale = torch.rsqrt(torch.clamp(variance * s.w[0].numel(), min=1e-4)) * s.gain
    return (s.w - mean) * scale


def cross_attention(s, x):
    keys = tokens(x)
    return image(s.attention(s.queries.expand(len(x), -1, -1), keys, keys)[0])


def linear_attention(s, x):
    q, k, v = s.qkv(tokens(x)).chunk(3, -1)
    q, k = F.relu(q), F.relu(k)
    return image((q @ (k.transpose(1, 2) @ v)) / (q @ k.sum(1).unsqueeze(-1) + 1e-6))


def masked_attention(s, x):
    q, k, v = s.qkv(tokens(x)).chunk(3, -1)
    scores = q @ k.transpose(1, 2) / math.sqrt(C)
    later = torch.triu(torch.ones(POSITIONS, POSITIONS, dtype=torch.bool), 1)
    return image(scores.masked_fill(later, float('-inf')).softmax(-1) @ v)


def relative_bias(s, x):
    t = tokens(x)
    index = (torch.arange(POSITIONS)[:, None] * 3 + torch.arange(POSITIONS)) % 50
    return image((t @ t.transpose(1, 2) * 0.1 + s.table[index].squeeze(-1)).softmax(-1) @ s.linear(t))


def rms_norm(s, x):
    t = tokens(x)
    return image(s.linear(t * torch.rsqrt(t.pow(2).mean(-1, keepdim=True) + 1e-6) * s.scale))


def rotary(s, x):
    t = tokens(x)
    turned = torch.stack([-t[..., 1::2], t[..., ::2]], -1).flatten(-2)
    return image(s.linear(turned * torch.sin(torch.arange(float(POSITIONS)).unsqueeze(1) * 0.1) + t))


def channel_shuffle(s, x):
    n, c, h, w = x.shape
    return s.conv(x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w))


def squeeze_excite(s, x):
    return x * torch.sigmoid(s.up(F.relu(s.down(x.mean((2, 3), keepdim=True)))))


def activations():
    kinds = [nn.PReLU(C), nn.Mish(), nn.ELU(), nn.Softplus(), nn.ReLU6(), nn.LeakyReLU(0.1),
             nn.Hardsigmoid(), nn.CELU(0.7), nn.SELU(), nn.GELU(approximate='tanh'), nn.SiLU()]
    return nn.Sequential(*[part for kind in kinds for part in (conv(1), kind)])


def after(*parts):
    return nn.Sequential(*parts)


MODULES = {
    # Weights that are computed from parameters.
    'weight_norm': lambda: after(nn.utils.weight_norm(conv(3, padding=1))),
    'weight_norm_of_all': lambda: after(nn.utils.weight_norm(conv(3), dim=None)),
    'weight_norm_linear': lambda: Fn(lambda s, x: image(s.linear(tokens(x))),
                                     linear=nn.utils.weight_norm(nn.Linear(C, C))),
    'weight_norm_transposed': lambda: after(
        nn.utils.weight_norm(nn.ConvTranspose2d(C, C, 4, stride=2, padding=1), dim=1)),
    'standardized_weight': lambda: after(
        Fn(lambda s, x: F.conv2d(x, standardized(s.w)), w=parameter(C, C, 3, 3)),
        nn.BatchNorm2d(C), nn.ReLU()),
    'standardized_weight_gain': lambda: Fn(
        lambda s, x: F.conv2d(x, standardized_with_gain(s)), w=parameter(C, C, 3, 3),
        gain=nn.Parameter(torch.rand(C, 1, 1, 1) + 0.5)),
    'split_weight': lambda: Fn(lambda s, x: F.conv2d(F.relu(F.conv2d(x, s.w[:C])), s.w[C:]),
                               w=parameter(2 * C, C, 1, 1)),
    'joined_weight': lambda: Fn(lambda s, x: F.conv2d(x, torch.cat([s.a, s.b], 0)),
                                a=parameter(3, C, 3, 3), b=parameter(C - 3, C, 3, 3)),
    'permuted_weight': lambda: Fn(lambda s, x: F.conv2d(x, s.w.permute(3, 2, 0, 1).contiguous()),
                                  w=parameter(3, 3, C, C)),
    'flipped_weight': lambda: Fn(lambda s, x: F.conv2d(x, s.w.flip(2, 3)), w=parameter(C, C, 3, 3)),
    'masked_weight': lambda: Fn(lambda s, x: F.conv2d(x, s.w * torch.tril(torch.ones(3, 3))),
                                w=parameter(C, C, 3, 3)),
    'tied_weight': lambda: Fn(
        lambda s, x: image(F.linear(torch.tanh(F.linear(tokens(x), s.w)), s.w.t())),
        w=parameter(5, C)),
    'repeated_parameters': lambda: Fn(lambda s, x: x * s.p.repeat(1, 2, 1, 1) + s.q.expand_as(x),
                                      p=parameter(1, C // 2, 1, 1), q=parameter(1, C, 1, 1)),
    'layer_scale': lambda: Fn(lambda s, x: x + s.scale * s.conv(x),
                              scale=nn.Parameter(torch.full((C, 1, 1), 0.01)), conv=conv(3, padding=1)),
    'scalar_parameters': lambda: Fn(lambda s, x: x + s.a * torch.tanh(s.b * s.conv(x)),
                                    a=nn.Parameter(torch.tensor(0.5)),
                                    b=nn.Parameter(torch.tensor([1.5])), conv=conv(1)),
    # Attention and sequences.
    'cross_attention': lambda: Fn(cross_attention, queries=parameter(1, 5, C),
                                  attention=nn.MultiheadAttention(C, 2, batch_first=True)),
    'cross_attention_bias': lambda: Fn(
        cross_attention, queries=parameter(1, 5, C),
        attention=nn.MultiheadAttention(C, 2, add_bias_kv=True, batch_first=True)),
    'linear_attention': lambda: Fn(linear_attention, qkv=nn.Linear(C, 3 * C)),
    'masked_attention': lambda: Fn(masked_attention, qkv=nn.Linear(C, 3 * C)),
    'relative_bias': lambda: Fn(relative_bias, table=parameter(50, 1), linear=nn.Linear(C, C)),
    'rotary': lambda: Fn(rotary, linear=nn.Linear(C, C)),
    'positions': lambda: Fn(lambda s, x: image(tokens(x) + s.table(torch.arange(POSITIONS))),
                            table=nn.Embedding(POSITIONS, C)),
    'lstm': lambda: Fn(lambda s, x: image(s.lstm(tokens(x))[0]),
                       lstm=nn.LSTM(C, C // 2, batch_first=True, bidirectional=True)),
    'gru': lambda: Fn(lambda s, x: s.gru(tokens(x))[1][-1], gru=nn.GRU(C, C, 2, batch_first=True)),
    'einsum': lambda: Fn(lambda s, x: torch.einsum('nchw,dc->ndhw', x, s.w), w=parameter(C, C)),
    'einsum_positions': lambda: Fn(lambda s, x: torch.einsum('nlc,ld->ncd', tokens(x), s.w),
                                   w=parameter(POSITIONS, 5)),
    # Normalization and activations.
    'rms_norm': lambda: Fn(rms_norm, scale=parameter(C), linear=nn.Linear(C, C, bias=False)),
    'group_norm': lambda: after(conv(3), nn.GroupNorm(2, C), nn.Hardswish()),
    'instance_norm': lambda: after(conv(3), nn.InstanceNorm2d(C, affine=True), nn.GELU()),
    'layer_norm': lambda: Fn(
        lambda s, x: s.norm(s.conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
        conv=conv(7, padding=3, groups=C), norm=nn.LayerNorm(C)),
    'shared_batch_norm': lambda: Fn(lambda s, x: s.norm(s.conv(F.relu(s.norm(s.conv(x))))),
                                    conv=conv(1), norm=nn.BatchNorm2d(C)),
    'batch_norm_without_scale': lambda: after(conv(3), nn.BatchNorm2d(C, affine=False), nn.ReLU()),
    'activations': activations,
    'gated': lambda: after(nn.Conv2d(C, 2 * C, 1), nn.GLU(1)),
    'maximum': lambda: Fn(lambda s, x: torch.max(x, s.norm(s.conv(x))),
                          conv=conv(3, padding=1, groups=C, bias=False), norm=nn.BatchNorm2d(C)),
    # Windows.
    'depthwise': lambda: after(
        nn.Conv2d(C, 2 * C, 3, stride=2, dilation=2, padding=(1, 0), groups=C),
        nn.BatchNorm2d(2 * C), nn.ReLU(), nn.Conv2d(2 * C, C, 1)),
    'conv1d': lambda: Fn(lambda s, x: s.conv(x.flatten(2)), conv=after(
        nn.Conv1d(C, C, 5, stride=3, padding=2), nn.BatchNorm1d(C), nn.ReLU())),
    'conv3d': lambda: Fn(lambda s, x: s.conv(x.unsqueeze(2).repeat(1, 1, 3, 1, 1)).mean(2),
                         conv=after(nn.Conv3d(C, C, 3, padding=1, bias=False), nn.BatchNorm3d(C),
                                    nn.ReLU())),
    'conv_transpose': lambda: after(
        nn.ConvTranspose2d(C, C, 3, stride=2, padding=1, output_padding=1, groups=2, bias=False),
        nn.BatchNorm2d(C), nn.ReLU()),
    'max_pool_ceil': lambda: after(nn.MaxPool2d(3, 2, 1, ceil_mode=True), conv(1)),
    'max_pool_dilated': lambda: after(nn.MaxPool2d(2, 1, dilation=2), conv(1)),
    'average_pool_ceil': lambda: after(nn.AvgPool2d(3, 2, 1, ceil_mode=True), conv(1)),
    'average_pool_without_pad': lambda: after(
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), conv(1)),
    'adaptive_average': lambda: after(nn.AdaptiveAvgPool2d((4, 6)), conv(3)),
    'adaptive_max': lambda: after(nn.AdaptiveMaxPool2d((3, 4)), conv(3)),
    'unfold': lambda: Fn(lambda s, x: image(s.linear(F.unfold(x, 3, stride=2).transpose(1, 2))),
                         linear=nn.Linear(9 * C, C)),
    'pads': lambda: after(nn.ReflectionPad2d(2), conv(3), nn.ReplicationPad2d(1), conv(3),
                          nn.ZeroPad2d((0, 1, 0, 1)), conv(3, stride=2)),
    # Resizing and moving values.
    'nearest': lambda: after(nn.Upsample(scale_factor=2), conv(3)),
    'bilinear': lambda: after(nn.Upsample(scale_factor=1.5, mode='bilinear'), conv(3)),
    'bilinear_corners': lambda: after(
        nn.Upsample(size=(15, 9), mode='bilinear', align_corners=True), conv(3)),
    'bicubic': lambda: after(nn.Upsample(scale_factor=2, mode='bicubic'), conv(3)),
    'pixel_shuffle': lambda: after(nn.Conv2d(C, 4 * C, 1), nn.PixelShuffle(2)),
    'roll': lambda: Fn(lambda s, x: s.conv(torch.roll(x, (2, -1), (2, 3))),
                       conv=conv(3, padding=1, groups=C)),
    'channel_shuffle': lambda: Fn(channel_shuffle, conv=conv(3, stride=2, groups=2)),
    'squeeze_excite': lambda: Fn(squeeze_excite, down=nn.Conv2d(C, 4, 1), up=nn.Conv2d(4, C, 1)),
    'spatial_softmax': lambda: Fn(
        lambda s, x: s.conv(x).flatten(2).softmax(2).view(len(x), C, SIZE, SIZE) * x, conv=conv(1)),
    'where': lambda: Fn(lambda s, x: torch.where(x > 0, s.a(x), s.b(x)), a=conv(1), b=conv(1)),
    'cumsum': lambda: Fn(lambda s, x: s.conv(torch.cumsum(x, 2) / 10), conv=conv(1)),
    'topk': lambda: Fn(lambda s, x: s.linear(torch.topk(x.flatten(2), 4, dim=2)[0].mean(2)),
                       linear=nn.Linear(C, C)),
}


class Failed(Exception):
    """A command ended with an error, or numbers differ."""


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise Failed(f'{command[1]}: {lines[-1] if lines else ""}')


def initializers(path):
    return {tensor.name: onnx.numpy_helper.to_array(tensor)
            for tensor in onnx.load(path).graph.initializer}


def write_data(folder):
    numpy.save(folder / 'input.npy', torch.randn(SAMPLES, 3, SIZE, SIZE).numpy())
    numpy.save(folder / 'labels.npy', torch.randint(0, 10, (SAMPLES,)).numpy())
    fields = {name: {'array': f'{name}.npy'} for name in ('input', 'labels')}
    (folder / 'data.json').write_text(json.dumps({'splits': {'train': {'fields': fields}}}))
    # Weights of 7 bits are exact in ONNX Runtime on any x86.
    (folder / 'recipe.json').write_text(json.dumps({'preset': 'onnxruntime-7bit'}))


def check_step(network, simaqat, folder, model):
    """One FP32 step beside PyTorch's."""
    x = torch.tensor(numpy.load(folder / 'input.npy')).double()
    labels = torch.tensor(numpy.load(folder / 'labels.npy'))
    network.double().train()
    loss = F.cross_entropy(network(x), labels)
    loss.backward()
    run(simaqat, 'train', model, '-o', folder / 'stepped.onnx', '--data', folder / 'data.json',
        '--loss', 'cross_entropy', '--steps', 1, '--batch-size', SAMPLES, '--lr', 1, '--momentum', 0,
        '--metrics', folder / 'step.jsonl')
    ours = json.loads((folder / 'step.jsonl').read_text().splitlines()[0])['loss']
    if abs(ours - loss.item()) > 1e-5 * loss.item():
        raise Failed(f'loss {ours}, expected {loss.item()}')
    before, now = initializers(model), initializers(folder / 'stepped.onnx')
    gradients = {name: p.grad.numpy() for name, p in network.named_parameters() if p.grad is not None}
    whole = math.sqrt(sum((g ** 2).sum() for g in gradients.values()))
    for name, gradient in gradients.items():
        if name not in now:
            raise Failed(f'{name} is no initializer of the file')
        error = numpy.linalg.norm(before[name].astype(float) - now[name] - gradient)
        # Of the gradients together, and what a weight's own rounding hides.
        if error > 1e-5 * whole + 1e-6 * numpy.linalg.norm(before[name]):
            raise Failed(f'gradient of {name}: {error / whole:.1e} of the whole away')
    known = {name for name, _ in [*network.named_parameters(), *network.named_buffers()]}
    for name in set(before) & set(now) - known:
        if not numpy.array_equal(before[name], now[name]):
            raise Failed(f'{name} is a constant, and trained')


def check_shipped(simaqat, folder, model):
    """The exported file in ONNX Runtime; the largest difference, of the largest logit."""
    path = {stage: folder / f'{stage}.onnx' for stage in ('prepared', 'trained', 'final', 'quantized')}
    run(simaqat, 'prepare', model, '-o', path['prepared'], '--recipe', folder / 'recipe.json')
    run(simaqat, 'train', path['prepared'], '-o', path['trained'], '--data', folder / 'data.json',
        '--loss', 'cross_entropy', '--steps', 4, '--batch-size', SAMPLES, '--calibrate', 1)
    run(simaqat, 'finalize', path['trained'], '-o', path['final'])
    run(simaqat, 'export', path['final'], '-o', path['quantized'])
    run(simaqat, 'predict', path['quantized'], '--data', folder / 'data.json', '--split', 'train', '-o',
        folder / 'ours.npz')
    ours = numpy.load(folder / 'ours.npz')['logits']
    worst = 0
    for optimize in ('all', 'none'):
        run('node', HERE.parent / 'onnxruntime' / 'run.mjs', '--optimize', optimize, path['quantized'],
            folder / 'input.npy', folder / 'theirs')
        theirs = numpy.load(folder / 'theirs.0.npy')
        worst = max(worst, abs(theirs - ours).max() / abs(ours).max())
    # One step of the grid of the logits.
    if worst > 1 / 128:
        raise Failed(f'ONNX Runtime differs by {worst:.1e}')
    return worst


def check(name, simaqat, folder):
    torch.manual_seed(len(name))
    network = Network(MODULES[name]())
    state = {key: value.clone() for key, value in network.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_data(folder)
    model = folder / 'model.onnx'
    torch.onnx.export(network, torch.tensor(numpy.load(folder / 'input.npy')), str(model),
                      training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
                      opset_version=17, input_names=['input'], output_names=['logits'],
                      dynamic_axes={'input': {0: 'N'}, 'logits': {0: 'N'}})
    # Exporting moved the running statistics.
    network.load_state_dict(state)
    check_step(network, simaqat, folder, model)
    return check_shipped(simaqat, folder, model)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=pathlib.Path, help='where models and data are written')
    parser.add_argument('--simaqat', required=True, help='the program')
    parser.add_argument('--only', nargs='*', metavar='NAME', help='these modules alone')
    options = parser.parse_args()
    warnings.filterwarnings('ignore')
    failures = 0
    for name in options.only or MODULES:
        try:
            print(f'{name}: agrees, ONNX Runtime within '
                  f'{check(name, options.simaqat, options.folder / name):.1e}', flush=True)
        except Failed as failure:
            failures += 1
            print(f'{name}: fails: {failure}', flush=True)
    print(f'{len(options.only or MODULES) - failures} agree, {failures} fail')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
