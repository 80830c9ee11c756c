// Runs a model under ONNX Runtime on arrays from .npy files.
import {createSession, parse, positiveInteger, runMain, SESSION_HELP, UsageError} from './session.mjs';
import {readNpy, writeNpy} from './npy.mjs';
import ort from 'onnxruntime-node';
import fs from 'node:fs';
import path from 'node:path';

const USAGE = `\
usage: node run.mjs MODEL.onnx [NAME=]INPUT.npy... PREFIX [options]
Writes the model's outputs to PREFIX.0.npy, PREFIX.1.npy, ... and their names to PREFIX.json.
A model with one input needs no NAME.
  --batch N                      run N samples at a time, along the first axis of every input
                                 and output (default: all at once)
${SESSION_HELP}`;

function readInputs(args, session) {
  const inputs = {};
  for (const arg of args) {
    // A name may hold any character, a file that we are given ends in .npy.
    const equals = arg.indexOf('=');
    const name = equals < 0 ? session.inputNames[0] : arg.slice(0, equals);
    if (equals < 0 && (args.length > 1 || session.inputNames.length > 1)) {
      throw new UsageError(`${arg}: which input? NAME=FILE, of: ${session.inputNames.join(', ')}`);
    }
    if (!session.inputNames.includes(name)) {
      throw new UsageError(`no input '${name}'; there are: ${session.inputNames.join(', ')}`);
    }
    inputs[name] = readNpy(arg.slice(equals + 1));
  }
  return inputs;
}

function rows(tensor, from, to) {
  const row = tensor.size / tensor.dims[0];
  const data = tensor.data.subarray(from * row, to * row);
  return new ort.Tensor(tensor.type, data, [to - from, ...tensor.dims.slice(1)]);
}

function concatenate(name, parts, samples) {
  const [first] = parts;
  const total = parts.reduce((sum, part) => sum + (part.dims[0] ?? NaN), 0);
  if (total !== samples) {
    throw new Error(`output '${name}': its first axis is not the batch: run without --batch`);
  }
  const data = new first.data.constructor(parts.reduce((sum, part) => sum + part.size, 0));
  let offset = 0;
  for (const part of parts) {
    data.set(part.data, offset);
    offset += part.size;
  }
  return {type: first.type, dims: [samples, ...first.dims.slice(1)], data};
}

async function runInBatches(session, inputs, batch) {
  const samples = Object.values(inputs)[0].dims[0];
  const parts = [];
  for (let from = 0; from < samples; from += batch) {
    const to = Math.min(from + batch, samples);
    const feeds = {};
    for (const [name, tensor] of Object.entries(inputs)) {
      if (tensor.dims[0] !== samples) {
        throw new Error(`input '${name}': ${tensor.dims[0]} samples, others have ${samples}`);
      }
      feeds[name] = rows(tensor, from, to);
    }
    parts.push(await session.run(feeds));
  }
  const outputs = {};
  for (const name of session.outputNames) {
    outputs[name] = concatenate(name, parts.map(part => part[name]), samples);
  }
  return outputs;
}

await runMain(async () => {
  const {values, positionals} = parse(USAGE, {batch: {type: 'string'}}, 3, Infinity);
  const prefix = positionals.pop();
  const [model, ...files] = positionals;
  const session = await createSession(model, values);
  const inputs = readInputs(files, session);
  const outputs = values.batch ?
      await runInBatches(session, inputs, positiveInteger(values.batch, '--batch')) :
      await session.run(inputs);

  const index = session.outputNames.map((name, k) => {
    const {type, dims, data} = outputs[name];
    writeNpy(`${prefix}.${k}.npy`, {type, dims, data});
    return {name, file: path.basename(`${prefix}.${k}.npy`), type, shape: dims};
  });
  fs.writeFileSync(`${prefix}.json`, JSON.stringify({outputs: index}, null, 1) + '\n');
});
