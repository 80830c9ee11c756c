#!/usr/bin/env python3
"""Which nodes of a model ONNX Runtime runs on integer kernels.

usage: integer_nodes.py OPTIMIZED.onnx [--json] [--require-integer]

OPTIMIZED.onnx is the graph that ONNX Runtime made of the model: run.mjs and accuracy.mjs write
it with --save-optimized. Each node gets one kind:
  integer   computes on integer codes
  moves     passes integer codes on
  converts  QuantizeLinear, DequantizeLinear and changes of layout at float values' borders
  float     computes in floating point
With --require-integer the exit status is 1 if a convolution or a matrix product is float.
Needs python3-onnx.
"""

import argparse
import collections
import json
import sys

import onnx
from onnx import TensorProto

CODES = {TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16}

# The heart of a network: what --require-integer is about. ONNX Runtime's own names for a
# float operator with its activation fused into it are among them.
HEAVY = {"Conv", "ConvTranspose", "FusedConv", "FusedGemm", "FusedMatMul", "Gemm", "MatMul"}

# Operators that carry any type of element, so that integer codes in mean integer codes out.
MOVES = {
    "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "NhwcMaxPool", "Pad",
    "ReduceMax", "Reshape", "Resize", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile",
    "Transpose", "Unsqueeze",
}

# Integer kernels that take or leave a float value do not have QLinear in their name.
INTEGER = {"ConvInteger", "DynamicQuantizeMatMul", "MatMulInteger", "MatMulIntegerToFloat",
           "MatMulNBits", "QGemm"}


def is_integer_kernel(node):
    return node.op_type.startswith("QLinear") or node.op_type in INTEGER


def leaves_float(node):
    """An integer kernel whose result is not codes."""
    if node.op_type == "QGemm":
        # The result's scale, input 7, is there where the result is quantized.
        return len(node.input) < 8 or not node.input[7]
    return node.op_type in INTEGER


def classify(graph):
    """The kind of each node, in the graph's order (which is topological)."""
    codes = {t.name for t in graph.initializer if t.data_type in CODES}
    codes |= {v.name for v in graph.input if v.type.tensor_type.elem_type in CODES}
    rows = []
    for node in graph.node:
        carries = bool(node.input) and node.input[0] in codes
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            kind, makes_codes = "converts", node.op_type == "QuantizeLinear"
        elif is_integer_kernel(node):
            kind, makes_codes = "integer", not leaves_float(node)
        elif node.op_type in MOVES and carries:
            kind, makes_codes = "moves", True
        elif node.op_type in ("ReorderInput", "ReorderOutput"):
            kind, makes_codes = "converts", False
        else:
            kind, makes_codes = "float", False
        if makes_codes:
            codes.update(node.output)
        rows.append({"kind": kind, "op_type": node.op_type, "name": node.name,
                     "outputs": list(node.output)})
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--require-integer", action="store_true")
    args = parser.parse_args()

    rows = classify(onnx.load(args.model, load_external_data=False).graph)
    counts = collections.Counter(row["kind"] for row in rows)
    if args.json:
        print(json.dumps({"nodes": rows, "counts": counts}))
    else:
        for row in rows:
            print(f"{row['kind']:10}{row['op_type']:26}{row['name']}")
        print(", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))

    slow = [row for row in rows if row["kind"] == "float" and row["op_type"] in HEAVY]
    if args.require_integer and slow:
        for row in slow:
            print(f"{row['op_type']} '{row['name']}' runs in float", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
