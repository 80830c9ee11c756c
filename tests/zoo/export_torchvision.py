#!/usr/bin/env python3
"""Takes torchvision's networks from PyTorch's exporter to ONNX Runtime, through every command.

Each network, with fresh weights and ten classes, is exported as an ONNX training graph at a small
image size, prepared, trained for three steps on noise, finalized, exported and run by ONNX Runtime.
Ranges are not calibrated first, since a fresh network's running statistics say nothing of it.
Prints a row of docs/ZOO.md's table for each: its weights in millions, the seconds that each command
took, and the most memory that prepare and train held; exit status 1 where any fails.

Needs Debian's python3-torch, python3-torchvision and python3-onnx (run it with /usr/bin/python3),
and node with tests/onnxruntime's packages."""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy
import onnx
import torch
import torchvision

HERE = pathlib.Path(__file__).resolve().parent
CLASSES = 10
BATCH = 2
STEPS = 3

# `labels`: the dimensions of a sample's labels. `outputs`: names, the one that counts first.
Network = collections.namedtuple('Network', 'build dims labels outputs')


def classifier(name, size, outputs=('logits',), **options):
    build = getattr(torchvision.models, name)
    return Network(lambda: build(weights=None, num_classes=CLASSES, **options), (3, size, size), (),
                   outputs)


def segmenter(name, size, outputs=('logits',), **options):
    build = getattr(torchvision.models.segmentation, name)
    return Network(
        lambda: InOrder(build(weights=None, weights_backbone=None, num_classes=CLASSES, **options)),
        (3, size, size), (size, size), outputs)


def video(name, size, frames):
    build = getattr(torchvision.models.video, name)
    return Network(lambda: build(weights=None, num_classes=CLASSES), (3, frames, size, size), (),
                   ('logits',))


class InOrder(torch.nn.Module):
    """The outputs that a segmentation network gives by name, as a tuple."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return tuple(self.network(x).values())


NETWORKS = {
    'alexnet': classifier('alexnet', 224),
    'convnext_tiny': classifier('convnext_tiny', 64),
    'deeplabv3_mobilenet_v3_large': segmenter('deeplabv3_mobilenet_v3_large', 64),
    'densenet121': classifier('densenet121', 64),
    'efficientnet_b0': classifier('efficientnet_b0', 64),
    'efficientnet_v2_s': classifier('efficientnet_v2_s', 64),
    'fcn_resnet50': segmenter('fcn_resnet50', 64, ('logits', 'aux'), aux_loss=True),
    'googlenet': classifier('googlenet', 64, ('logits', 'aux2', 'aux1'), init_weights=False),
    'inception_v3': classifier('inception_v3', 96, aux_logits=False, init_weights=False),
    'lraspp_mobilenet_v3_large': segmenter('lraspp_mobilenet_v3_large', 64),
    'maxvit_t': classifier('maxvit_t', 224),
    'mnasnet0_5': classifier('mnasnet0_5', 64),
    'mobilenet_v2': classifier('mobilenet_v2', 64),
    'mobilenet_v3_large': classifier('mobilenet_v3_large', 64),
    'mvit_v2_s': video('mvit_v2_s', 224, 16),
    'r2plus1d_18': video('r2plus1d_18', 32, 4),
    'r3d_18': video('r3d_18', 32, 4),
    'regnet_x_400mf': classifier('regnet_x_400mf', 64),
    'regnet_y_400mf': classifier('regnet_y_400mf', 64),
    'resnet18': classifier('resnet18', 64),
    'resnet50': classifier('resnet50', 64),
    'resnext50_32x4d': classifier('resnext50_32x4d', 64),
    's3d': video('s3d', 224, 16),
    'shufflenet_v2_x1_0': classifier('shufflenet_v2_x1_0', 64),
    'squeezenet1_1': classifier('squeezenet1_1', 64),
    'swin_t': classifier('swin_t', 64),
    'vgg11_bn': classifier('vgg11_bn', 224),
    'vit_b_16': classifier('vit_b_16', 64, image_size=64),
    'vit_h_14': classifier('vit_h_14', 56, image_size=56),
    'vit_l_16': classifier('vit_l_16', 64, image_size=64),
}
# Large at any image size that they allow; vit_h_14 is more than 2 GiB.
ON_REQUEST = ('maxvit_t', 'mvit_v2_s', 's3d', 'vit_h_14')


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
    for module in model.modules():
        # After a few steps evaluation is to see what training saw, however slow the network's own is.
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.5
    names = list(network.outputs)
    torch.onnx.export(model, torch.randn(BATCH, *network.dims), str(path), opset_version=17,
                      training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
                      input_names=['input'], output_names=names,
                      dynamic_axes={name: {0: 'N'} for name in ['input', *names]})


def write_loss(network, path):
    """The mean of cross entropies: of the first output, and 0.3 times that of each further one."""
    nodes, terms = [], []
    for name in network.outputs:
        nodes.append(onnx.helper.make_node('SoftmaxCrossEntropyLoss', [name, 'labels'],
                                           [f'{name}/loss']))
        terms.append(f'{name}/loss')
        if name != network.outputs[0]:
            nodes.append(onnx.helper.make_node('Mul', [terms[-1], 'share'], [f'{name}/share']))
            terms[-1] = f'{name}/share'
    nodes.append(onnx.helper.make_node('Sum', terms, ['loss']))
    value = onnx.helper.make_tensor_value_info
    batch = ['N', *network.labels]
    graph = onnx.helper.make_graph(
        nodes, 'loss',
        [value(name, onnx.TensorProto.FLOAT, ['N', CLASSES, *network.labels])
         for name in network.outputs] + [value('labels', onnx.TensorProto.INT64, batch)],
        [value('loss', onnx.TensorProto.FLOAT, [])],
        [onnx.helper.make_tensor('share', onnx.TensorProto.FLOAT, [], [0.3])])
    onnx.save(onnx.helper.make_model(graph, ir_version=8,
                                     opset_imports=[onnx.helper.make_opsetid('', 17)]), str(path))


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


def peak_memory(pid):
    """The most memory that a process has held so far, in MiB; 0 where it has ended."""
    try:
        status = pathlib.Path(f'/proc/{pid}/status').read_text()
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith('VmHWM')]
    return int(lines[0].split()[1]) / 1024 if lines else 0


def run(*command):
    """Runs a command; the seconds it took and the most memory it held, in MiB."""
    started = time.monotonic()
    with tempfile.TemporaryFile('w+') as errors:
        # getrusage would count this process itself, as it was when it forked.
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL,
                                   stderr=errors)
        peak = 0
        while process.poll() is None:
            peak = max(peak, peak_memory(process.pid))
            time.sleep(0.01)
        if process.returncode != 0:
            errors.seek(0)
            lines = errors.read().strip().splitlines()
            name = pathlib.Path(str(command[0])).name
            raise Failed(f'{name} {command[1]}: {lines[-1] if lines else ""}')
    return time.monotonic() - started, peak


def pass_through(network, folder, simaqat):
    """The whole way; returns the cells of the table's row."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / 'model.onnx'
    if not model.exists():
        export(network, model)
    write_data(network, folder)
    write_loss(network, folder / 'loss.onnx')
    graph = onnx.load(model, load_external_data=False).graph
    operators = {node.op_type for node in graph.node}
    weights = sum(int(numpy.prod(tensor.dims)) for tensor in graph.initializer) / 1e6
    prepared, trained = folder / 'prepared.onnx', folder / 'trained.onnx'
    final, quantized = folder / 'final.onnx', folder / 'quantized.onnx'
    prepare = run(simaqat, 'prepare', model, '-o', prepared)
    train = run(simaqat, 'train', prepared, '--loss', folder / 'loss.onnx',
                '--data', folder / 'manifest.json', '-o', trained, '--batch-size', BATCH,
                '--steps', STEPS, '--lr', 0.001)
    finalize = run(simaqat, 'finalize', trained, '-o', final)
    exported = run(simaqat, 'export', final, '-o', quantized)
    batch = folder / 'batch.npy'
    numpy.save(batch, numpy.load(folder / 'input.npy')[:BATCH])
    run('node', HERE.parent / 'onnxruntime' / 'run.mjs', quantized, batch, folder / 'out')
    logits = numpy.load(folder / 'out.0.npy')
    if logits.shape[:2] != (BATCH, CLASSES) or not numpy.isfinite(logits).all():
        raise Failed(f'ONNX Runtime gives {logits.shape}, finite: {numpy.isfinite(logits).all()}')
    if logits.std() == 0:
        raise Failed('every logit is the same')
    seconds = [f'{command[0]:.1f}' for command in (prepare, train, finalize, exported)]
    return [f'{weights:.1f}', str(len(operators)), *seconds, f'{prepare[1]:.0f}',
            f'{train[1]:.0f}', 'runs']


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=pathlib.Path, help='where models and data are written')
    parser.add_argument('--simaqat', required=True, help='the program')
    parser.add_argument('--only', nargs='*', metavar='NAME', help='these networks alone')
    parser.add_argument('--export-only', action='store_true')
    options = parser.parse_args()
    names = options.only or [name for name in NETWORKS if name not in ON_REQUEST]
    failures = 0
    columns = ('network', 'input', 'weights', 'operators', 'prepare', 'train', 'finalize', 'export',
               'MiB, prepare', 'MiB, train', 'ONNX Runtime')
    print(f'| {" | ".join(columns)} |\n|{"---|" * len(columns)}')
    for name in names:
        network = NETWORKS[name]
        folder = options.folder / name
        try:
            if options.export_only:
                folder.mkdir(parents=True, exist_ok=True)
                export(network, folder / 'model.onnx')
                continue
            cells = pass_through(network, folder, options.simaqat)
        except Failed as failure:
            failures += 1
            cells = [f'fails: {failure}']
        size = ' x '.join(str(dim) for dim in network.dims)
        print(f'| {name} | {size} | {" | ".join(cells)} |', flush=True)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
