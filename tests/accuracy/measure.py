#!/usr/bin/python3
"""Trains, quantizes and compares, with several seeds; prints the tables of docs/ACCURACY.md.

usage: measure.py SIMAQAT DATASET NETWORK [options]

DATASET is fashion_mnist or cifar10, NETWORK residual or inverted_residual. Each seed trains FP32
from random weights; from there, for the same further steps, FP32 (the baseline), post-training
quantization with each observer, training with quantization, and PyTorch's. Differences are paired:
over the test images and the seeds, of the baseline being right minus the other being right, with a
95% bound by resampling images. Each exported file is run by ONNX Runtime too, in float QDQ
arithmetic and on its integer kernels, and compared node by node.

What is measured is kept in the folder --work, so that an interrupted measurement goes on where it
was, and other columns or seeds can be added. Needs what datasets.py and pytorch_fx.py need.
"""

import argparse
import fnmatch
import json
import os
import statistics
import subprocess
import sys
import time

import numpy

import datasets

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
COMPARE = os.path.join(ROOT, "bazel-bin", "tests", "agreement", "compare_file")
SIDES = {"fashion_mnist": 28, "cifar10": 32}
OBSERVERS = ["moving_average_min_max", "min_max", "percentile", "mse", "entropy"]

W4A8 = {"weight": {"bits": 4}}
# The image and the last layer keep 8 bits, as Esser 2020 (LSQ) has it.
ENDS = [{"op_type": "input",
         "activation": {"bits": 8, "observer": "moving_average_min_max"}},
        {"op_type": "Gemm", "weight": {"bits": 8, "observer": "max"},
         "activation": {"bits": 8, "observer": "moving_average_min_max"}}]
W4A4 = {"weight": {"bits": 4}, "activation": {"bits": 4}, "overrides": ENDS}
LSQ4 = {"weight": {"bits": 4, "observer": "lsq"}, "activation": {"bits": 4, "observer": "lsq"},
        "overrides": ENDS}

BF16 = ["--backward", "bf16"]

# Column: the recipe, whether it trains, and options of training.
COLUMNS = {f"PTQ {name}": ({"activation": {"observer": name}}, False, []) for name in OBSERVERS}
COLUMNS.update({
    "QAT W8A8": ({}, True, []),
    "QAT W7A8": ({"preset": "onnxruntime-7bit"}, True, []),
    "QAT W4A8": (W4A8, True, []),
    "QAT W4A4": (W4A4, True, []),
    "QAT W4A4 lsq": (LSQ4, True, []),
    "QAT W8A8 bf16": ({}, True, BF16),
    "QAT W4A4 lsq bf16": (LSQ4, True, BF16),
})
PYTORCH = "PyTorch FX QAT"


class Measurement:
    """Of one network on one data set. `results` is {seed: {column: {"right", "seconds", ...}}}."""

    def __init__(self, args):
        self.args = args
        self.side = SIDES[args.dataset]
        self.network = f"{args.network}_{self.side}"
        os.makedirs(args.work, exist_ok=True)
        for name in os.listdir(args.data):
            link = self.path(name)
            if not os.path.lexists(link):
                os.symlink(os.path.join(os.path.abspath(args.data), name), link)
        self.manifest = self.path("manifest.json")
        with open(os.path.join(datasets.TESTDATA, args.dataset + ".json")) as source:
            with open(self.manifest, "w") as target:
                target.write(source.read())
        self.data = datasets.Data(args.dataset, args.data)
        self.kept = self.path(f"results-{self.network}.json")
        self.results = {}
        if os.path.exists(self.kept):
            with open(self.kept) as file:
                self.results = json.load(file)

    def path(self, name):
        return os.path.join(self.args.work, name)

    def simaqat(self, *words):
        subprocess.run(["nice", "-n", str(self.args.nice), self.args.simaqat, *map(str, words),
                        "--quiet"], check=True, stdout=subprocess.DEVNULL)

    def train(self, model, output, steps, rate, seed, *options):
        self.simaqat("train", model, "-o", output, "--loss", "cross_entropy", "--data",
                     self.manifest, "--steps", steps, "--batch-size", self.args.batch_size, "--lr",
                     rate, "--weight-decay", 5e-4, "--schedule", "cosine", "--seed", seed, *options)

    def right(self, classes):
        """Whether each test image is right, as a string of 0 and 1."""
        with open(classes) as file:
            pairs = zip(file, self.data.test_labels)
            return "".join("1" if int(line) == label else "0" for line, label in pairs)

    def evaluated(self, model):
        classes = self.path("classes.txt")
        self.simaqat("eval", model, "--data", self.manifest, "--classes", classes)
        return {"right": self.right(classes)}

    def fp32(self, seed, path):
        network = os.path.join(datasets.TESTDATA, self.network + ".onnx")
        if not os.path.exists(path):
            self.train(network, path, self.args.fp32_steps, self.args.lr, seed, "--init", "random")
        return self.evaluated(path)

    def baseline(self, seed, fp32):
        further = self.path("further.onnx")
        self.train(fp32, further, self.args.steps, self.args.qat_lr, seed)
        return self.evaluated(further)

    def quantized(self, seed, fp32, column):
        recipe, trains, options = COLUMNS[column]
        prepared, trained = self.path("prepared.onnx"), self.path("trained.onnx")
        final, exported = self.path("final.onnx"), self.path("exported.onnx")
        with open(self.path("recipe.json"), "w") as file:
            json.dump(recipe, file)
        self.simaqat("prepare", fp32, "-o", prepared, "--recipe", self.path("recipe.json"))
        self.train(prepared, trained, self.args.steps if trains else 0, self.args.qat_lr, seed,
                   "--calibrate", self.args.calibrate, *options)
        self.simaqat("finalize", trained, "-o", final)
        self.simaqat("export", final, "-o", exported)
        result = self.evaluated(exported)
        result["onnxruntime"] = self.agreement(exported)
        return result

    def agreement(self, exported):
        """Ours and ONNX Runtime's evaluation of the file: tests/agreement/compare_file.cc."""
        images = self.path("images.npy")
        if not os.path.exists(images):
            numpy.save(images, self.data.normalized(self.data.test_images))
        compared = subprocess.run(
            ["nice", "-n", str(self.args.nice), self.args.compare, os.path.abspath(exported),
             os.path.abspath(images)], check=True, capture_output=True, cwd=ROOT)
        return json.loads(compared.stdout)

    def pytorch(self, seed, fp32):
        classes, args = self.path("classes.txt"), self.args
        subprocess.run(["nice", "-n", str(args.nice), sys.executable,
                        os.path.join(HERE, "pytorch_fx.py"), args.dataset, self.network, fp32,
                        classes, "--data", args.data, "--steps", str(args.steps), "--batch-size",
                        str(args.batch_size), "--lr", str(args.qat_lr), "--weight-decay", "5e-4",
                        "--seed", str(seed)], check=True, stderr=subprocess.DEVNULL)
        return {"right": self.right(classes)}

    def measure(self, seed, column):
        first = 1 if self.args.one_fp32 else seed
        fp32 = self.path(f"fp32-{self.network}-{first}.onnx")
        if column == "FP32":
            return self.fp32(first, fp32)
        if column == "baseline":
            return self.baseline(seed, fp32)
        if column == PYTORCH:
            return self.pytorch(seed, fp32)
        return self.quantized(seed, fp32, column)

    def run(self, seed, columns):
        """Measures the columns that this seed has not yet."""
        results = self.results.setdefault(str(seed), {})
        for column in columns:
            if column in results:
                continue
            start = time.monotonic()
            results[column] = self.measure(seed, column)
            results[column]["seconds"] = time.monotonic() - start
            share = statistics.fmean(map(int, results[column]["right"]))
            print(f"seed {seed}: {column}: {100 * share:.2f}, {results[column]['seconds']:.0f} s",
                  file=sys.stderr, flush=True)
            with open(self.kept + ".new", "w") as file:
                json.dump(self.results, file)
            os.replace(self.kept + ".new", self.kept)


def bound(differences, rounds=2000):
    """The mean of the images' differences and its one-sided 95% bound, in points."""
    generator = numpy.random.default_rng(0)
    size = len(differences)
    means = sorted(differences[generator.integers(0, size, size)].mean() for _ in range(rounds))
    return 100 * differences.mean(), 100 * means[int(0.95 * rounds)]


def rights(runs):
    """[seed, image]"""
    return numpy.array([[float(c) for c in run["right"]] for run in runs])


def table(results, columns):
    """Over the seeds that have all columns."""
    seeds = [seed for seed, done in results.items() if all(c in done for c in columns)]
    runs = {column: [results[seed][column] for seed in seeds] for column in columns}
    baseline = rights(runs["baseline"])
    print(f"seeds {', '.join(seeds)}\n")
    print("| column | top-1, % | spread | baseline minus it | 95% bound | s a seed |")
    print("|---|---|---|---|---|---|")
    for column in columns:
        right = rights(runs[column])
        mean, most = bound((baseline - right).mean(0))
        accuracies = 100 * right.mean(1)
        seconds = statistics.fmean(run["seconds"] for run in runs[column])
        print(f"| {column} | {accuracies.mean():.2f} | {accuracies.min():.2f} to "
              f"{accuracies.max():.2f} | {mean:.2f} | {most:.2f} | {seconds:.0f} |")
    for name, better, worse in [("PyTorch FX QAT minus QAT W8A8", PYTORCH, "QAT W8A8"),
                                ("QAT W4A4 minus QAT W4A4 lsq", "QAT W4A4", "QAT W4A4 lsq"),
                                ("QAT W8A8 minus QAT W8A8 bf16", "QAT W8A8", "QAT W8A8 bf16"),
                                ("QAT W4A4 lsq minus QAT W4A4 lsq bf16", "QAT W4A4 lsq",
                                 "QAT W4A4 lsq bf16")]:
        if better in columns and worse in columns:
            mean, most = bound((rights(runs[better]) - rights(runs[worse])).mean(0))
            print(f"\n{name}: {mean:.2f}, 95% bound {most:.2f}")
    agreement_table(runs, columns)


def agreement_table(runs, columns):
    """Of the seeds the least agreement, and the node that differs most."""
    print("\n| exported file | ONNX Runtime | same class, % | logits within a step, % | "
          "nodes, % (steps) | worst node, % |")
    print("|---|---|---|---|---|---|")
    for column in columns:
        for level, what in (("none", "float QDQ"), ("all", "integer kernels")):
            found = [run["onnxruntime"][level] for run in runs[column]
                     if isinstance(run.get("onnxruntime", {}).get(level), dict)]
            if not found:
                continue
            if any("error" in one for one in found):
                print(f"| {column} | {what} | does not run | | | |")
                continue
            nodes = [one["nodes"] for one in found]
            ends = (f"| {column} | {what} | {100 * min(one['same_class'] for one in found):.2f} | "
                    f"{100 * min(one['within_one_step'] for one in found):.2f} | ")
            if any("error" in node for node in nodes):
                print(ends + "| |")
                continue
            worst = max((node["worst"] for node in nodes), key=lambda node: node["differing"])
            print(ends + f"{100 * max(node['differing'] for node in nodes):.2g} "
                  f"({max(node['largest'] for node in nodes)}) | "
                  f"{worst['node']}: {100 * worst['differing']:.2g} |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simaqat")
    parser.add_argument("dataset", choices=SIDES)
    parser.add_argument("network", choices=["residual", "inverted_residual"])
    parser.add_argument("--data", required=True, help="the folder of the data set's files")
    parser.add_argument("--work", default="build/accuracy", help="where files are made and kept")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--columns", default="*", help="which, comma-separated patterns")
    parser.add_argument("--fp32-steps", type=int, default=4690)
    parser.add_argument("--one-fp32", action="store_true",
                        help="all seeds start from the first one's FP32")
    parser.add_argument("--steps", type=int, default=469, help="of QAT and of the baseline")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.1, help="of FP32")
    parser.add_argument("--qat-lr", type=float, default=0.01, help="behind it")
    parser.add_argument("--calibrate", type=int, default=50, help="batches")
    parser.add_argument("--compare", default=COMPARE, help="tests/agreement's compare_file")
    parser.add_argument("--nice", type=int, default=0, help="run niced")
    args = parser.parse_args()
    patterns = args.columns.split(",")
    columns = ["FP32", "baseline"] + [
        column for column in [*COLUMNS, PYTORCH]
        if any(fnmatch.fnmatch(column, pattern) for pattern in patterns)]
    measurement = Measurement(args)
    for seed in range(1, args.seeds + 1):
        measurement.run(seed, columns)
    print(f"{args.dataset}, {args.network}: {args.fp32_steps} FP32 steps, then {args.steps}, "
          f"batches of {args.batch_size}; ", end="")
    table(measurement.results, columns)


if __name__ == "__main__":
    main()
