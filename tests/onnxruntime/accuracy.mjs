// Top-1 accuracy of a classifier of one-channel images under ONNX Runtime.
import {createSession, parse, positiveInteger, runMain, SESSION_HELP, UsageError} from './session.mjs';
import ort from 'onnxruntime-node';
import fs from 'node:fs';
import zlib from 'node:zlib';

const USAGE = `\
usage: node accuracy.mjs MODEL.onnx IMAGES.gz LABELS.gz MEAN STD BATCH [options]
IMAGES and LABELS are IDX files, gzipped or not; a pixel becomes (x / 255 - MEAN) / STD.
Prints {"samples": ..., "top1": ...}, the share of samples whose largest output is their label.
${SESSION_HELP}`;

function readIdx(path) {
  let bytes = fs.readFileSync(path);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = zlib.gunzipSync(bytes);
  const UNSIGNED_BYTE = 8;
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0 || bytes[2] !== UNSIGNED_BYTE) {
    throw new Error(`${path}: not an IDX file of bytes`);
  }
  const dims = Array.from({length: bytes[3]}, (_, axis) => bytes.readUInt32BE(4 + 4 * axis));
  const data = bytes.subarray(4 + 4 * dims.length);
  if (data.length !== dims.reduce((a, b) => a * b, 1)) {
    throw new Error(`${path}: ${data.length} bytes of data for [${dims}]`);
  }
  return {dims, data};
}

// Pixels have 256 values; each step is rounded to float32, as simaqat's own loader does it.
function normalizedPixels(mean, std) {
  const f = Math.fround;
  return Float32Array.from({length: 256}, (_, x) => f(f(f(x / 255) - f(mean)) / f(std)));
}

function finite(text, what) {
  const value = Number(text);
  if (text === '' || !Number.isFinite(value)) {
    throw new UsageError(`${what}: expected a number, got '${text}'`);
  }
  return value;
}

function largest(values) {
  let best = 0;
  for (let k = 1; k < values.length; ++k) {
    if (values[k] > values[best]) best = k;
  }
  return best;
}

await runMain(async () => {
  const {values, positionals} = parse(USAGE, {}, 6, 6);
  const [model, imagesPath, labelsPath] = positionals;
  const pixels = normalizedPixels(finite(positionals[3], 'MEAN'), finite(positionals[4], 'STD'));
  const batch = positiveInteger(positionals[5], 'BATCH');

  const images = readIdx(imagesPath);
  const labels = readIdx(labelsPath);
  const [samples, height, width] = images.dims;
  if (images.dims.length !== 3 || labels.dims.length !== 1 || labels.dims[0] !== samples) {
    throw new Error(`images are [${images.dims}] and labels [${labels.dims}]`);
  }

  const session = await createSession(model, values);
  const [input] = session.inputNames;
  const [output] = session.outputNames;
  const size = height * width;
  let correct = 0;
  for (let from = 0; from < samples; from += batch) {
    const to = Math.min(from + batch, samples);
    const x = Float32Array.from(images.data.subarray(from * size, to * size), v => pixels[v]);
    const feeds = {[input]: new ort.Tensor('float32', x, [to - from, 1, height, width])};
    const scores = (await session.run(feeds))[output];
    const classes = scores.size / (to - from);
    for (let k = 0; k < to - from; ++k) {
      const row = scores.data.subarray(k * classes, (k + 1) * classes);
      if (largest(row) === labels.data[from + k]) ++correct;
    }
  }
  console.log(JSON.stringify({samples, top1: correct / samples}));
});
