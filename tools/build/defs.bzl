"""How simaqat's code is compiled: every C++ target is made by one of these macros."""

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

# In optimized builds -O2 is Bazel's own. Loops over elements gain from more; code that only parses
# and prints compiles in two thirds of the time with less.
OPTIMIZED_LOOPS = select({
    "//:opt": ["-O3"],
    "//conditions:default": [],
})
OPTIMIZED_LITTLE = select({
    "//:opt": ["-O1"],
    "//conditions:default": [],
})

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror",
]

def _copts(copts):
    return _BASE_COPTS + _WARNINGS + copts

def qat_library(name, srcs = [], hdrs = [], deps = [], visibility = None, copts = [], **kwargs):
    """A library of ours. Includes are written from the project's root."""
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

def qat_binary(name, srcs, deps = [], visibility = None, copts = [], **kwargs):
    """A program."""
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
        copts = _copts(copts),
        data = data,
        linkstatic = True,
        deps = deps + ["//tests:main"],
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
