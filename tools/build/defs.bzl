"""How simaqat's code is compiled: every C++ target is made by one of these macros."""

load("//tools/build:precompiled_header.bzl", "precompiled_header")

# One instruction set for the whole program, generated code included: templates are
# inline, the linker keeps one copy of each, and it must run everywhere.
_BASE_COPTS = [
    "-std=c++17",
    # Sums must come out the same whatever the compiler fuses.
    "-ffp-contract=off",
] + select({
    "//:x86_64": ["-march=x86-64-v3"],
    "//conditions:default": [],
})

# In optimized builds -O2 is Bazel's own. Kernels gain from more. Of that, loops over elements gain
# from vector instructions alone, at three quarters of the compile time. Code that only parses and
# prints compiles in two thirds of the time with less.
OPTIMIZED_KERNELS = select({
    "//:opt": [
        "-O3",
        # Nobody reads errno: a loop with a square root has vectors.
        "-fno-math-errno",
        # Loops over a row's few vectors stay loops: as calls of memset and memcpy they took longer.
        "-fno-tree-loop-distribute-patterns",
    ],
    "//conditions:default": [],
})
OPTIMIZED_LOOPS = select({
    "//:opt": [
        "-fvect-cost-model=dynamic",
        # Nobody reads the exception flags of floating point; to keep them, a choice between two
        # values would be a branch, and its loop have no vectors. No value changes.
        "-fno-trapping-math",
    ],
    "//conditions:default": [],
})
OPTIMIZED_LITTLE = select({
    "//:opt": ["-O1"],
    "//conditions:default": [],
})

# The precompiled header that most files above the IR begin with; see precompiled_header.bzl.
COMMON_HEADERS = "//qat/precompiled:common"

# The same for libraries of OPTIMIZED_LITTLE: GCC 14 takes no header of another optimization.
COMMON_HEADERS_OF_LITTLE = "//qat/precompiled:common_of_little"

def _include_precompiled(label):
    package, name = label[2:].split(":")
    return [
        "-include",
        "$(BINDIR)/%s/%s.h" % (package, name),
        # The files it was made of count as read, so that a change of one compiles again.
        "-fpch-deps",
        "-Winvalid-pch",
    ]

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror",
]

def _copts(copts):
    return _BASE_COPTS + _WARNINGS + copts

def qat_precompiled_header(name, hdr, deps = [], visibility = None, copts = []):
    """A header that is read once, for all targets of the same copts whose `precompiled` is "//PACKAGE:NAME"."""
    precompiled_header(
        name = name,
        hdr = hdr,
        copts = _copts(copts),
        visibility = visibility,
        deps = deps,
    )

def qat_library(name, srcs = [], hdrs = [], deps = [], visibility = None, copts = [], precompiled = None, **kwargs):
    """A library of ours. Includes are written from the project's root."""
    if precompiled:
        copts = copts + _include_precompiled(precompiled)
        deps = deps + [precompiled]
    native.cc_library(
        name = name,
        srcs = srcs,
        hdrs = hdrs,
        copts = _copts(copts),
        # Otherwise all is compiled twice: once for the archive, once for a shared library.
        linkstatic = True,
        visibility = visibility,
        deps = deps,
        **kwargs
    )

def qat_binary(name, srcs, deps = [], visibility = None, copts = [], precompiled = None, **kwargs):
    """A program."""
    if precompiled:
        copts = copts + _include_precompiled(precompiled)
        deps = deps + [precompiled]
    native.cc_binary(
        name = name,
        srcs = srcs,
        copts = _copts(copts),
        linkstatic = True,
        visibility = visibility,
        deps = deps,
        **kwargs
    )

def qat_test(name, srcs, deps = [], data = [], size = "small", copts = [], **kwargs):
    """A Catch2 test: its sources include "tests/catch.h", and main is there already."""
    if "shard_count" in kwargs:
        fail("%s: shard_count would run every test case in every shard" % name)
    native.cc_test(
        name = name,
        size = size,
        srcs = srcs,
        copts = _copts(copts) + _include_precompiled(COMMON_HEADERS),
        data = data,
        linkstatic = True,
        deps = deps + ["//tests:main", COMMON_HEADERS],
        **kwargs
    )

def qat_benchmark(name, srcs, deps = [], copts = [], **kwargs):
    """A Google Benchmark program, with its main."""
    native.cc_binary(
        name = name,
        testonly = True,
        srcs = srcs,
        copts = _copts(copts),
        linkopts = ["-lbenchmark_main"],
        linkstatic = True,
        deps = deps + ["@system//:benchmark"],
        **kwargs
    )

def qat_proto(name, src, visibility = None, **kwargs):
    """The C++ classes of one .proto file, included as "folder/file.pb.h"."""
    if not src.endswith(".proto"):
        fail("%s: %s is not a .proto file" % (name, src))
    stem = src[:-len(".proto")]
    header = stem + ".pb.h"
    source = stem + ".pb.cc"

    # Debian's protoc, so that the code fits Debian's libprotobuf. The pragma keeps our
    # warnings out of generated code that our own code includes.
    native.genrule(
        name = name + "_generated",
        srcs = [src],
        outs = [header, source],
        cmd = "/usr/bin/protoc --proto_path=. --cpp_out=$(GENDIR) $(location %s) && " % src +
              "sed -i '1i #pragma GCC system_header' $(location %s)" % header,
        visibility = ["//visibility:private"],
    )
    native.cc_library(
        name = name,
        srcs = [source],
        hdrs = [header],
        copts = _BASE_COPTS + ["-w"],
        linkstatic = True,
        visibility = visibility,
        deps = ["@system//:protobuf"],
        **kwargs
    )
