"""The data sets of the accuracy measurements, in the order and with the random transforms that
`simaqat train --seed` gives them. Needs python3-numpy, python3-xxhash and, for CIFAR-10, python3-pil.
"""

import gzip
import io
import json
import os
import tarfile

import numpy
import xxhash

HERE = os.path.dirname(os.path.abspath(__file__))
TESTDATA = os.path.join(HERE, "..", "..", "testdata", "accuracy")


def philox(counter, key):
    """Philox 4x32-10, as qat/base/random.cc has it, of many counters: uint64 arrays below 2^32."""
    mask = numpy.uint64(0xFFFFFFFF)
    half = numpy.uint64(32)
    c = [numpy.asarray(word, dtype=numpy.uint64) for word in counter]
    k = list(key)
    for _ in range(10):
        a = numpy.uint64(0xD2511F53) * c[0]
        b = numpy.uint64(0xCD9E8D57) * c[2]
        c = [(b >> half) ^ c[1] ^ numpy.uint64(k[0]), b & mask,
             (a >> half) ^ c[3] ^ numpy.uint64(k[1]), a & mask]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


class RandomStream:
    """The stream of qat/base/random.h."""

    def __init__(self, seed, purpose, step):
        self.key = [seed & 0xFFFFFFFF, seed >> 32]
        mixed = xxhash.xxh3_64_intdigest(purpose) ^ (step * 0x9E3779B97F4A7C15 & (1 << 64) - 1)
        self.purpose = [mixed & 0xFFFFFFFF, mixed >> 32]

    def below(self, elements, bounds):
        """Of arrays: for each element a number in [0, bound)."""
        elements = numpy.asarray(elements, dtype=numpy.uint64)
        zeros = numpy.zeros_like(elements)
        block = philox([elements >> numpy.uint64(2), elements >> numpy.uint64(34),
                        zeros + numpy.uint64(self.purpose[0]),
                        zeros + numpy.uint64(self.purpose[1])], self.key)
        bits = numpy.choose((elements & numpy.uint64(3)).astype(int), block)
        return (bits * numpy.asarray(bounds, dtype=numpy.uint64)) >> numpy.uint64(32)


def order_of(samples, seed, epoch):
    """The order of qat/data/batch_loader.cc."""
    left = numpy.arange(samples, 1, -1)
    chosen = RandomStream(seed, "shuffle", epoch).below(left, left).astype(int)
    order = list(range(samples))
    for last, other in zip(left - 1, chosen):
        order[last], order[other] = order[other], order[last]
    return numpy.array(order)


def read_fashion_mnist(folder, split):
    prefix = "train" if split == "train" else "t10k"
    with gzip.open(os.path.join(folder, prefix + "-images-idx3-ubyte.gz")) as file:
        images = numpy.frombuffer(file.read(), numpy.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(os.path.join(folder, prefix + "-labels-idx1-ubyte.gz")) as file:
        return images, numpy.frombuffer(file.read(), numpy.uint8, offset=8).astype(numpy.int64)


def read_cifar10(folder, split):
    from PIL import Image
    images, labels = [], []
    for name in sorted(os.listdir(folder)):
        if not name.startswith(f"cifar10-{split}-"):
            continue
        with tarfile.open(os.path.join(folder, name)) as tar:
            for member in tar:
                data = tar.extractfile(member).read()
                if member.name.endswith(".jpg"):
                    pixels = numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
                    images.append(pixels.transpose(2, 0, 1))
                elif member.name.endswith(".cls"):
                    labels.append(int(data))
    return numpy.stack(images), numpy.array(labels, dtype=numpy.int64)


READERS = {"fashion_mnist": read_fashion_mnist, "cifar10": read_cifar10}


class Data:
    """Images and labels of both splits, with the transforms of the data set's manifest."""

    def __init__(self, dataset, folder):
        with open(os.path.join(TESTDATA, dataset + ".json")) as file:
            splits = json.load(file)["splits"]
        self.transforms = splits["train"]["fields"]["input"]["transforms"]
        self.images, self.labels = READERS[dataset](folder, "train")
        self.test_images, self.test_labels = READERS[dataset](folder, "test")

    def batch(self, chosen, seed, epoch):
        """The samples, transformed as in training."""
        images = self.images[chosen]
        draws = 2 * chosen
        for index, transform in enumerate(self.transforms):
            random = RandomStream(seed, f"augment {index}", epoch)
            if "pad_crop" in transform:
                images = self.shifted(images, random, draws, transform["pad_crop"]["padding"])
            elif "horizontal_flip" in transform:
                flips = random.below(draws, numpy.full(len(draws), 2)) == 1
                images = images.copy()
                images[flips] = images[flips][..., ::-1]
        return self.normalized(images), self.labels[chosen]

    @staticmethod
    def shifted(images, random, draws, padding):
        places = numpy.full(len(draws), 2 * padding + 1)
        down = random.below(draws, places).astype(int)
        right = random.below(draws + 1, places).astype(int)
        padded = numpy.pad(images, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
        height, width = images.shape[2:]
        return numpy.stack([padded[i, :, y:y + height, x:x + width]
                            for i, (y, x) in enumerate(zip(down, right))])

    def normalized(self, images):
        normalize = self.transforms[-1]["normalize"]
        mean = numpy.array(normalize["mean"], numpy.float32).reshape(-1, 1, 1)
        std = numpy.array(normalize["std"], numpy.float32).reshape(-1, 1, 1)
        scaled = images.astype(numpy.float32) / numpy.float32(normalize["scale"])
        return (scaled - mean) / std
