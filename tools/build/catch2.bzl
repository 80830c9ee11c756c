"""Finds the installed Catch2: 2.x is headers alone, 3.x has a library."""

_BUILD = """\
cc_library(
    name = "catch2",
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
)
"""

def _catch2_repository_impl(ctx):
    is_version_3 = ctx.path("/usr/include/catch2/catch_all.hpp").exists
    linkopts = ["-lCatch2"] if is_version_3 else []
    ctx.file("BUILD.bazel", _BUILD.format(linkopts = repr(linkopts)))

catch2_repository = repository_rule(
    implementation = _catch2_repository_impl,
    # Look again whenever Bazel's server starts: packages may have been upgraded.
    local = True,
)
