#!/usr/bin/env bash
# The main job, end to end, on Fashion-MNIST: installs what is needed, builds simaqat, trains a
# small network in FP32, quantizes it after training and with training, exports both, and runs the
# exported files under ONNX Runtime. Ends with a table. All it makes is in build/quickstart.
set -euo pipefail
# A failure within $(...) is a failure.
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
source tools/common.sh

readonly WORK=build/quickstart
readonly DATASET=/usr/share/datasets/fashion-mnist
# As in testdata/fashion_cnn/manifest.json.
readonly MEAN=0.286
readonly STD=0.353

readonly BATCH=64
readonly FP32_TRAINING=(--epochs 3 --lr 0.1 --momentum 0.9 --nesterov --weight-decay 5e-4
  --schedule onecycle)
# What follows the FP32 training is the same with and without quantization, so that the table
# compares like with like.
readonly FURTHER_TRAINING=(--epochs 1 --lr 0.01 --momentum 0.9 --nesterov --weight-decay 5e-4
  --schedule cosine)

# On x86 without VNNI, ONNX Runtime's sums of two 8-bit products saturate; with weights of 7 bits they
# are exact.
PRESET=sima
if [[ $(uname -m) == x86_64 ]] && ! grep -qE '^flags.* (avx512_vnni|avx_vnni)' /proc/cpuinfo; then
  PRESET=onnxruntime-7bit
fi
readonly PRESET

mkdir -p "$WORK/logs"

# run NAME SUBCOMMAND...: simaqat, its output in a log.
run() {
  local name=$1
  shift
  quietly "$WORK/logs/$name.log" bazel-bin/tools/simaqat "$@"
}

# train NAME MODEL OPTIONS...: writes NAME.onnx and NAME.jsonl.
train() {
  local name=$1 model=$2
  shift 2
  run "train_$name" train "$model" --loss cross_entropy --data "$WORK/data/manifest.json" \
    --batch-size "$BATCH" --seed 1 "$@" --metrics "$WORK/$name.jsonl" -o "$WORK/$name.onnx"
}

# top1 COMMAND...: runs what prints {"top1": ...}, and prints that in per cent.
top1() {
  local json=$WORK/logs/top1.json log=$WORK/logs/top1.log
  if ! "$@" >"$json" 2>"$log"; then
    echo "failed: $*" >&2
    tail -n 50 "$log" >&2
    return 1
  fi
  node -p '(100 * JSON.parse(require("fs").readFileSync(process.argv[1])).top1).toFixed(2)' "$json"
}

# The accuracy in simaqat's own executor, and under ONNX Runtime.
evaluate() {
  top1 bazel-bin/tools/simaqat eval "$1" --data "$WORK/data/manifest.json" --split test \
    --metric top1 --json
}
evaluate_onnxruntime() {
  top1 node tests/onnxruntime/accuracy.mjs "$1" "$DATASET/t10k-images-idx3-ubyte.gz" \
    "$DATASET/t10k-labels-idx1-ubyte.gz" "$MEAN" "$STD" 500
}

# What training and evaluation need besides the program.
install_others() {
  install_packages dataset-fashion-mnist
  tools/install_onnxruntime.sh
}

# row LABEL TRAINED EXPORTED: both files evaluated, and the second one's size.
row() {
  local trained exported onnxruntime
  trained=$(evaluate "$2")
  exported=$(evaluate "$3")
  onnxruntime=$(evaluate_onnxruntime "$3")
  printf '%-38s %8s %9s %13s %12d\n' \
    "$1" "$trained" "$exported" "$onnxruntime" "$(stat -c %s "$3")"
}

stage "installing packages"
tools/install_build_packages.sh

# Beside the build, which has no use for them and takes the longest.
stage "building simaqat"
install_others &
others=$!
quietly "$WORK/logs/build.log" bazel build //tools:simaqat
wait "$others"

# The manifest's paths are relative to it, so it gets the data beside it.
mkdir -p "$WORK/data"
ln -sf "$DATASET"/*.gz "$WORK/data/"
cp testdata/fashion_cnn/manifest.json "$WORK/data/"

stage "training in FP32, from random weights"
train fp32 testdata/fashion_cnn/model.onnx --init random "${FP32_TRAINING[@]}"

stage "training further in FP32, to compare"
train fp32_further "$WORK/fp32.onnx" "${FURTHER_TRAINING[@]}"

stage "preparing for quantization"
echo "{\"preset\": \"$PRESET\"}" >"$WORK/recipe.json"
run prepare prepare "$WORK/fp32.onnx" -o "$WORK/prepared.onnx" --recipe "$WORK/recipe.json" \
  --batch-size "$BATCH"

stage "quantizing after training: calibration alone"
train ptq "$WORK/prepared.onnx" --steps 0 --calibrate 100

stage "training with quantization"
train qat "$WORK/prepared.onnx" --calibrate 100 "${FURTHER_TRAINING[@]}"

stage "finalizing and exporting"
for name in ptq qat; do
  run "finalize_$name" finalize "$WORK/$name.onnx" -o "$WORK/${name}_final.onnx"
  run "export_$name" export "$WORK/${name}_final.onnx" -o "$WORK/${name}_qdq.onnx"
done
for name in fp32 fp32_further; do
  run "export_$name" export "$WORK/$name.onnx" --float -o "$WORK/${name}_eval.onnx"
done

stage "evaluating on the 10,000 test images"
table=$(
  row "FP32" "$WORK/fp32.onnx" "$WORK/fp32_eval.onnx"
  row "FP32, trained further" "$WORK/fp32_further.onnx" "$WORK/fp32_further_eval.onnx"
  row "INT8, quantized after training (PTQ)" "$WORK/ptq.onnx" "$WORK/ptq_qdq.onnx"
  row "INT8, trained with quantization (QAT)" "$WORK/qat.onnx" "$WORK/qat_qdq.onnx"
)

stage "done: the files are in $WORK"
printf '\n%-38s %18s %13s %12s\n' "" "simaqat, the file" "ONNX Runtime," "exported"
printf '%-38s %8s %9s %13s %12s\n' "top-1 accuracy, %" trained exported "exported" "file, bytes"
echo "$table"

if [[ $PRESET != sima ]]; then
  echo
  echo "Prepared with the preset $PRESET (docs/RECIPE.md): this processor has no VNNI."
fi
