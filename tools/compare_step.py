#!/usr/bin/env python3
"""Times a training step of simaqat beside PyTorch's, in alternating pairs, and prints a table.

Needs Debian's python3-torch, python3-torchvision and python3-onnx (run it with /usr/bin/python3),
libopenblas0-pthread (for vit_small, whose linear layers take a minute a step on the reference BLAS), the
built program, and ../shared/bench/pytorch_step.py. Two threads, random data; each figure is the median
of the pairs, each of which is the median of its steps. The floor is what `bench --profile` says, of
each run by the rates that the same run measured.
"""
import argparse
import pathlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "bazel-bin/tools/simaqat"
PEER = ROOT.parent / "shared/bench/pytorch_step.py"
NETWORKS = ["resnet20:64", "resnet18:16", "mobilenet_v2:16", "efficientnet_b0:8", "vit_small:8"]


def export(net, path):
    """The network that the peer times, as a training graph."""
    import torch

    sys.path[:0] = [str(PEER.parent), str(ROOT / "tests/zoo")]
    import export_torchvision  # registers what PyTorch 1.13 does not export: stochastic depth
    import pytorch_step
    import vit_small

    size = 32 if net == "resnet20" else 224
    x = torch.randn(2, 3, size, size)
    model = pytorch_step.build(net, "fp32", x)
    torch.onnx.export(model, x, path, training=torch.onnx.TrainingMode.TRAINING,
                      do_constant_folding=False, opset_version=17, input_names=["input"],
                      output_names=["logits"],
                      dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}})


def ours(model, batch):
    with tempfile.NamedTemporaryFile() as trace:
        out = subprocess.run([PROGRAM, "bench", model, "--batch-size", str(batch), "--threads", "2",
                              "--steps", "5", "--profile", trace.name, "--json"], check=True,
                             capture_output=True, text=True)
    result = json.loads(out.stdout)
    return result["median_ms"], result["step_memory_bytes"] / 2**20, result["floor_ms"]


def theirs(net, mode, batch):
    # The peer's script, with one network more than torchvision has.
    program = f"import runpy, vit_small; runpy.run_path({str(PEER)!r}, run_name='__main__')"
    out = subprocess.run([sys.executable, "-c", program, net, mode, str(batch)], check=True,
                         capture_output=True, text=True, cwd=ROOT / "tools").stdout
    return (float(re.search(r"median ([\d.]+) ms", out).group(1)),
            float(re.search(r"step memory (\d+) MiB", out).group(1)))


def network_of(text):
    net, _, batch = text.partition(":")
    if not net or not batch.isdigit() or int(batch) < 1:
        raise argparse.ArgumentTypeError(f"expected NETWORK:BATCH, got '{text}'")
    return net, int(batch)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", type=network_of, metavar="NETWORK:BATCH",
                        default=[network_of(text) for text in NETWORKS],
                        help="resnet20, vit_small or one of torchvision's (default: %s)" % " ".join(NETWORKS))
    parser.add_argument("--pairs", type=int, default=3)
    args = parser.parse_args()
    if not PEER.exists() or not PROGRAM.exists():
        sys.exit(f"needs {PEER} and {PROGRAM}")
    print("| network, batch | QAT | FP32 | PyTorch FX QAT | PyTorch FP32 | QAT / FX | QAT / PyTorch FP32 "
          "| step memory, QAT / FX | floor / QAT |")
    print("|---|---|---|---|---|---|---|---|---|")
    for net, batch in args.networks:
        with tempfile.TemporaryDirectory() as folder:
            source, prepared = f"{folder}/model.onnx", f"{folder}/prepared.onnx"
            export(net, source)
            subprocess.run([PROGRAM, "prepare", source, "-o", prepared, "--quiet"], check=True,
                           capture_output=True)
            runs = [(ours(prepared, batch), theirs(net, "fx", batch), ours(source, batch),
                     theirs(net, "fp32", batch)) for _ in range(args.pairs)]
        qat, fx, float_step, fp32 = (statistics.median(run[k][0] for run in runs) for k in range(4))
        to_fx = statistics.median(run[0][0] / run[1][0] for run in runs)
        to_fp32 = statistics.median(run[0][0] / run[3][0] for run in runs)
        share = statistics.median(run[0][2] / run[0][0] for run in runs)
        memory = [statistics.median(run[k][1] for run in runs) for k in range(2)]
        print(f"| {net}, {batch} | {qat:.0f} ms | {float_step:.0f} ms | {fx:.0f} ms | {fp32:.0f} ms "
              f"| {to_fx:.2f} | {to_fp32:.2f} | {memory[0]:.0f} / {memory[1]:.0f} MiB = "
              f"{memory[0] / memory[1]:.2f} | {share:.2f} |", flush=True)


if __name__ == "__main__":
    main()
