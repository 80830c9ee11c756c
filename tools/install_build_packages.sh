#!/usr/bin/env bash
# Installs what the build needs (Debian 12 or 13), and does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/common.sh

install_packages \
  bazel-bootstrap bazel-platforms bazel-rules-java bazel-rules-proto bazel-skylib \
  g++ protobuf-compiler python3 \
  catch2 libarchive-dev libbenchmark-dev libcli11-dev libeigen3-dev libfmt-dev libonnx-dev \
  libprotobuf-dev libspdlog-dev libturbojpeg0-dev libxxhash-dev nlohmann-json3-dev zlib1g-dev
