#!/usr/bin/env python3
"""Makes a model's intermediate values visible: a copy with each of them as a further output.

usage: expose_values.py MODEL.onnx OUTPUT.onnx [--codes]

--codes   only what quantizers leave: QuantizeLinear's integer codes, and in a scaffolded model
          the values behind FakeQuantize; codes of 4 bits, which ONNX Runtime hands out to
          nobody, as NAME/uint4, of 8

Run the copy without graph optimizations (run.mjs --optimize none) when all values are exposed:
a float value that is looked at keeps its operator from being fused into an integer one.
Values that do not depend on the model's inputs, such as dequantized weights, are left out.
Needs python3-onnx.
"""

import argparse

import onnx

UINT4 = 21  # which this onnx does not know
QUANTIZERS = {"QuantizeLinear", "FakeQuantize"}


def intermediate_values(graph, codes_only):
    """Names of the values between inputs and outputs, in the graph's order."""
    initializers = {t.name for t in graph.initializer}
    varying = {v.name for v in graph.input if v.name not in initializers}
    outputs = {v.name for v in graph.output}
    names = []
    for node in graph.node:
        if not varying.intersection(node.input):
            continue
        varying.update(name for name in node.output if name)
        if codes_only and node.op_type not in QUANTIZERS:
            continue
        names += [name for name in node.output if name and name not in outputs]
    return names


def widened(graph, names):
    """The names, with a Cast behind each value that has codes of 4 bits."""
    narrow = {t.name for t in graph.initializer if t.data_type == UINT4}
    narrow_values = {node.output[0] for node in graph.node
                     if node.op_type == "QuantizeLinear" and node.input[2] in narrow}
    for name in names:
        if name not in narrow_values:
            yield name
            continue
        graph.node.append(onnx.helper.make_node("Cast", [name], [name + "/uint4"],
                                                to=onnx.TensorProto.UINT8))
        yield name + "/uint4"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("output")
    parser.add_argument("--codes", action="store_true")
    args = parser.parse_args()

    model = onnx.load(args.model)
    for name in list(widened(model.graph, intermediate_values(model.graph, args.codes))):
        # Without a type: ONNX Runtime infers it, at opsets too that this onnx does not know.
        model.graph.output.append(onnx.ValueInfoProto(name=name))
    onnx.save(model, args.output)


if __name__ == "__main__":
    main()
