#!/usr/bin/env python3
"""Takes torchvision's networks from PyTorch's exporter to ONNX Runtime, through every command.

Each network, with fresh weights and ten classes, is exported as an ONNX training graph at a small
image size, prepared, trained for two steps on noise, finalized, exported and run by ONNX Runtime.
Prints a row of a table for each; exit status 1 where any fails.

Needs Debian's python3-torch, python3-torchvision and python3-onnx (run it with /usr/bin/python3),
and node with tests/onnxruntime's packages."""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import time

import numpy
import onnx
import torch
import torchvision

HERE = pathlib.Path(__file__).resolve().parent
CLASSES = 10
BATCH = 2

Network = collections.namedtuple('Network', 'build dims labels outputs')


def classifier(name, size, **options):
    build = getattr(torchvision.models, name)
    return Network(lambda: build(weights=None, num_classes=CLASSES, **options), (3, size, size), (),
                   None)


def segmenter(name, size):
    build = getattr(torchvision.models.segmentation, name)
    return Network(lambda: First(build(weights=None, weights_backbone=None, num_classes=CLASSES)),
                   (3, size, size), (size, size), None)


def video(name, size, frames):
    build = getattr(torchvision.models.video, name)
    return Network(lambda: build(weights=None, num_classes=CLASSES), (3, frames, size, size), (),
                   None)


class First(torch.nn.Module):
    """The first of the outputs that a segmentation network gives by name."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x)['out']


NETWORKS = {
    'alexnet': classifier('alexnet', 64),
    'convnext_tiny': classifier('convnext_tiny', 64),
    'deeplabv3_mobilenet_v3_large': segmenter('deeplabv3_mobilenet_v3_large', 64),
    'densenet121': classifier('densenet121', 64),
    'efficientnet_b0': classifier('efficientnet_b0', 64),
    'efficientnet_v2_s': classifier('efficientnet_v2_s', 64),
    'fcn_resnet50': segmenter('fcn_resnet50', 32),
    'googlenet': classifier('googlenet', 64, aux_logits=True, init_weights=False),
    'inception_v3': classifier('inception_v3', 96, aux_logits=False, init_weights=False),
    'lraspp_mobilenet_v3_large': segmenter('lraspp_mobilenet_v3_large', 64),
    'maxvit_t': classifier('maxvit_t', 224),
    'mnasnet0_5': classifier('mnasnet0_5', 64),
    'mobilenet_v2': classifier('mobilenet_v2', 64),
    'mobilenet_v3_large': classifier('mobilenet_v3_large', 64),
    'mvit_v2_s': Network(
        lambda: torchvision.models.video.mvit_v2_s(weights=None, num_classes=CLASSES),
        (3, 16, 224, 224), (), None),
    'r3d_18': video('r3d_18', 32, 4),
    'regnet_y_400mf': classifier('regnet_y_400mf', 64),
    'resnet18': classifier('resnet18', 64),
    'resnet50': classifier('resnet50', 64),
    'resnext50_32x4d': classifier('resnext50_32x4d', 64),
    'shufflenet_v2_x1_0': classifier('shufflenet_v2_x1_0', 64),
    'squeezenet1_1': classifier('squeezenet1_1', 64),
    'swin_t': classifier('swin_t', 64),
    'swin_v2_t': classifier('swin_v2_t', 64),
    'vgg11_bn': classifier('vgg11_bn', 64),
    'vit_b_16': classifier('vit_b_16', 64, image_size=64),
}
# Large at any image size their position tables allow.
ON_REQUEST = ('maxvit_t', 'mvit_v2_s')


def bernoulli(graph, like, probability, _generator=None):
    """Stochastic depth's draw, which PyTorch 1.13 does not export, as later versions write it."""
    probability = torch.onnx.symbolic_helper._maybe_get_const(probability, 'f')
    limit = graph.op('Constant', value_t=torch.tensor(float(probability)))
    drawn = graph.op('Less', graph.op('RandomUniformLike', like), limit)
    return graph.op('Cast', drawn, to_i=onnx.TensorProto.FLOAT)


torch.onnx.register_custom_op_symbolic('::bernoulli', bernoulli, 17)


def export(network, path):
    torch.manual_seed(0)
    model = network.build().train()
    torch.onnx.export(model, torch.randn(BATCH, *network.dims), str(path), opset_version=17,
                      training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
                      input_names=['input'], output_names=['logits'],
                      dynamic_axes={'input': {0: 'N'}, 'logits': {0: 'N'}})


def write_data(network, folder):
    generator = numpy.random.default_rng(0)
    samples = 4 * BATCH
    numpy.save(folder / 'input.npy',
               generator.standard_normal((samples, *network.dims)).astype(numpy.float32))
    numpy.save(folder / 'labels.npy',
               generator.integers(0, CLASSES, (samples, *network.labels)).astype(numpy.int64))
    fields = {name: {'array': f'{name}.npy'} for name in ('input', 'labels')}
    (folder / 'manifest.json').write_text(json.dumps({'splits': {'train': {'fields': fields}}}))


class Failed(Exception):
    """A command ended with an error, whose last line this holds."""


def run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode != 0:
        lines = (result.stderr + result.stdout).strip().splitlines()
        raise Failed(f'{pathlib.Path(str(command[0])).name} {command[1]}: {lines[-1] if lines else ""}')
    return result.stdout


def pass_through(name, network, folder, simaqat):
    """The whole way; returns the facts of the table's row."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / 'model.onnx'
    if not model.exists():
        export(network, model)
    write_data(network, folder)
    operators = {node.op_type for node in onnx.load(model, load_external_data=False).graph.node}
    prepared, trained = folder / 'prepared.onnx', folder / 'trained.onnx'
    final, quantized = folder / 'final.onnx', folder / 'quantized.onnx'
    started = time.monotonic()
    run(simaqat, 'prepare', model, '-o', prepared, '--outputs', 'logits')
    run(simaqat, 'train', prepared, '--loss', 'cross_entropy', '--data', folder / 'manifest.json',
        '-o', trained, '--batch-size', BATCH, '--calibrate', 2, '--steps', 2, '--lr', 0.001)
    run(simaqat, 'finalize', trained, '-o', final)
    run(simaqat, 'export', final, '-o', quantized)
    seconds = time.monotonic() - started
    batch = folder / 'batch.npy'
    numpy.save(batch, numpy.load(folder / 'input.npy')[:BATCH])
    run('node', HERE.parent / 'onnxruntime' / 'run.mjs', quantized, batch, folder / 'out')
    logits = numpy.load(folder / 'out.0.npy')
    if logits.shape[:2] != (BATCH, CLASSES) or not numpy.isfinite(logits).all():
        raise Failed(f'ONNX Runtime gives {logits.shape}, finite: {numpy.isfinite(logits).all()}')
    if logits.std() == 0:
        raise Failed('every logit is the same')
    return operators, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=pathlib.Path, help='where models and data are written')
    parser.add_argument('--simaqat', required=True, help='the program')
    parser.add_argument('--only', nargs='*', metavar='NAME', help='these networks alone')
    parser.add_argument('--export-only', action='store_true')
    options = parser.parse_args()
    names = options.only or [name for name in NETWORKS if name not in ON_REQUEST]
    failures = 0
    print('| network | input | operators | result |\n|---|---|---|---|')
    for name in names:
        network = NETWORKS[name]
        folder = options.folder / name
        try:
            if options.export_only:
                folder.mkdir(parents=True, exist_ok=True)
                export(network, folder / 'model.onnx')
                continue
            operators, seconds = pass_through(name, network, folder, options.simaqat)
            result = f'passes, {seconds:.0f} s'
        except Failed as failure:
            failures += 1
            operators, result = (), f'fails: {failure}'
        size = ' x '.join(str(dim) for dim in network.dims)
        print(f'| {name} | {size} | {len(operators)} kinds | {result} |', flush=True)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
