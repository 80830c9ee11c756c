#!/usr/bin/env python3
"""Trains, quantizes and compares, with several seeds; prints the tables of docs/ACCURACY.md.

usage: measure.py SIMAQAT DATASET NETWORK [options]

DATASET is fashion_mnist or cifar10, NETWORK residual or inverted_residual. Each seed trains FP32
from random weights; from there, for the same further steps, FP32 (the baseline), post-training
quantization with each observer, and training with quantization. Differences are paired: over the
test images and the seeds, of the baseline being right minus the other being right, with a 95% bound
by resampling images. Standard Python alone; each run's seconds are told.
"""

import argparse
import collections
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tarfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTDATA = os.path.join(HERE, "..", "..", "testdata", "accuracy")
SIDES = {"fashion_mnist": 28, "cifar10": 32}
OBSERVERS = ["moving_average_min_max", "min_max", "percentile", "mse", "entropy"]

W4A8 = {"weight": {"bits": 4}}
W4A4 = {"weight": {"bits": 4}, "activation": {"bits": 4}}
LSQ4 = {"weight": {"bits": 4, "observer": "lsq"}, "activation": {"bits": 4, "observer": "lsq"}}

# Column: the recipe, and whether it trains.
COLUMNS = {f"PTQ {name}": ({"activation": {"observer": name}}, False) for name in OBSERVERS}
COLUMNS.update({
    "QAT W8A8": ({}, True),
    "QAT W4A8": (W4A8, True),
    "QAT W4A4": (W4A4, True),
    "QAT W4A4 lsq": (LSQ4, True),
})


def labels_of(dataset, folder):
    """The classes of the test images, in order."""
    if dataset == "fashion_mnist":
        with gzip.open(os.path.join(folder, "t10k-labels-idx1-ubyte.gz")) as file:
            return list(file.read()[8:])
    labels = []
    for name in sorted(os.listdir(folder)):
        if name.startswith("cifar10-test-"):
            with tarfile.open(os.path.join(folder, name)) as tar:
                labels += [int(tar.extractfile(member).read())
                           for member in tar if member.name.endswith(".cls")]
    return labels


class Measurement:
    def __init__(self, args):
        self.args = args
        self.seconds = collections.Counter()
        os.makedirs(args.work, exist_ok=True)
        for name in os.listdir(args.data):
            link = self.path(name)
            if not os.path.lexists(link):
                os.symlink(os.path.join(os.path.abspath(args.data), name), link)
        self.manifest = self.path("manifest.json")
        with open(os.path.join(TESTDATA, args.dataset + ".json")) as source:
            with open(self.manifest, "w") as target:
                target.write(source.read())
        self.labels = labels_of(args.dataset, args.data)

    def path(self, name):
        return os.path.join(self.args.work, name)

    def simaqat(self, column, *words):
        start = time.monotonic()
        subprocess.run([self.args.simaqat, *map(str, words), "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
        self.seconds[column] += time.monotonic() - start

    def train(self, column, model, output, steps, rate, seed, *options):
        self.simaqat(column, "train", model, "-o", output, "--loss", "cross_entropy", "--data",
                     self.manifest, "--steps", steps, "--batch-size", self.args.batch_size, "--lr",
                     rate, "--weight-decay", 5e-4, "--schedule", "cosine", "--seed", seed, *options)

    def right(self, column, model):
        """Whether each test image is right."""
        classes = self.path("classes.txt")
        self.simaqat(column, "eval", model, "--data", self.manifest, "--classes", classes)
        with open(classes) as file:
            return [int(line) == label for line, label in zip(file, self.labels)]

    def run(self, seed):
        """Each column's list of right and wrong, for one seed."""
        args = self.args
        results = {}
        fp32, further = self.path("fp32.onnx"), self.path("further.onnx")
        network = os.path.join(TESTDATA, f"{args.network}_{SIDES[args.dataset]}.onnx")
        self.train("FP32", network, fp32, args.fp32_steps, args.lr, seed, "--init", "random")
        results["FP32"] = self.right("FP32", fp32)
        self.train("baseline", fp32, further, args.steps, args.lr / 10, seed)
        results["baseline"] = self.right("baseline", further)
        for column, (recipe, trains) in COLUMNS.items():
            prepared, trained = self.path("prepared.onnx"), self.path("trained.onnx")
            final, exported = self.path("final.onnx"), self.path("exported.onnx")
            with open(self.path("recipe.json"), "w") as file:
                json.dump(recipe, file)
            self.simaqat(column, "prepare", fp32, "-o", prepared, "--recipe",
                         self.path("recipe.json"))
            self.train(column, prepared, trained, args.steps if trains else 0, args.lr / 10, seed,
                       "--calibrate", args.calibrate)
            self.simaqat(column, "finalize", trained, "-o", final)
            self.simaqat(column, "export", final, "-o", exported)
            results[column] = self.right(column, exported)
        return results


def bound(differences, rounds=1000):
    """The mean of the images' differences and its one-sided 95% bound, in points."""
    generator = random.Random(0)
    means = sorted(statistics.fmean(generator.choices(differences, k=len(differences)))
                   for _ in range(rounds))
    return 100 * statistics.fmean(differences), 100 * means[int(0.95 * rounds)]


def paired(reference, other):
    """The differences of each image, the mean over seeds."""
    return [statistics.fmean(r[i] - o[i] for r, o in zip(reference, other))
            for i in range(len(reference[0]))]


def table(results, seconds):
    print("| column | top-1, % | spread | baseline minus it | 95% bound | s a seed |")
    print("|---|---|---|---|---|---|")
    for column, runs in results.items():
        accuracies = [100 * statistics.fmean(right) for right in runs]
        mean, most = bound(paired(results["baseline"], runs))
        print(f"| {column} | {statistics.fmean(accuracies):.2f} "
              f"| {min(accuracies):.2f} to {max(accuracies):.2f} | {mean:.2f} | {most:.2f} "
              f"| {seconds[column] / len(runs):.0f} |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simaqat")
    parser.add_argument("dataset", choices=SIDES)
    parser.add_argument("network", choices=["residual", "inverted_residual"])
    parser.add_argument("--data", required=True, help="the folder of the data set's files")
    parser.add_argument("--work", default="build/accuracy", help="where files are made")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fp32-steps", type=int, default=15000)
    parser.add_argument("--steps", type=int, default=3000, help="of QAT and of the baseline")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.1, help="of FP32; a tenth of it behind")
    parser.add_argument("--calibrate", type=int, default=50)
    args = parser.parse_args()
    measurement = Measurement(args)
    results = collections.defaultdict(list)
    for seed in range(1, args.seeds + 1):
        for column, right in measurement.run(seed).items():
            results[column].append(right)
        print(f"seed {seed} done", file=sys.stderr)
    print(f"{args.dataset}, {args.network}: {args.seeds} seeds, {args.fp32_steps} FP32 steps, then "
          f"{args.steps}, batches of {args.batch_size}\n")
    table(results, measurement.seconds)


if __name__ == "__main__":
    main()
