#!/usr/bin/env bash
# Installs what the tests need besides the build: data, and ONNX Runtime to run what simaqat
# exports. Does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/common.sh

install_packages dataset-fashion-mnist libonnx-testdata python3 python3-numpy python3-onnx
tools/install_onnxruntime.sh
