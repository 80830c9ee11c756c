// What run.mjs and accuracy.mjs share: their command lines, the session, errors.
import ort from 'onnxruntime-node';
import {parseArgs} from 'node:util';

// A mistake of the caller's: its message is all there is to say.
export class UsageError extends Error {}

export const SESSION_OPTIONS = {
  optimize: {type: 'string', default: 'all'},
  'save-optimized': {type: 'string'},
  threads: {type: 'string'},
};

export const SESSION_HELP = `\
  --optimize all|extended|none   graph optimizations (default: all); none: float QDQ arithmetic
  --save-optimized PATH          write the graph that ONNX Runtime made of the model
  --threads N                    threads of one operator (default: ONNX Runtime's choice)`;

export function parse(usage, options, fewest, most) {
  let parsed;
  try {
    parsed = parseArgs({options: {...SESSION_OPTIONS, ...options}, allowPositionals: true});
  } catch (error) {
    throw new UsageError(`${error.message}\n${usage}`);
  }
  if (parsed.positionals.length < fewest || parsed.positionals.length > most) {
    throw new UsageError(usage);
  }
  return parsed;
}

export function positiveInteger(text, what) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new UsageError(`${what}: expected a positive integer, got '${text}'`);
  }
  return value;
}

export async function createSession(model, values) {
  const levels = {all: 'all', extended: 'extended', none: 'disabled'};
  if (!(values.optimize in levels)) {
    throw new UsageError(`--optimize: expected all, extended or none, got '${values.optimize}'`);
  }
  const options = {
    graphOptimizationLevel: levels[values.optimize],
    // Errors only: a saved graph is laid out for this machine, as we know.
    logSeverityLevel: 3,
  };
  if (values['save-optimized']) options.optimizedModelFilePath = values['save-optimized'];
  if (values.threads) options.intraOpNumThreads = positiveInteger(values.threads, '--threads');
  try {
    return await ort.InferenceSession.create(model, options);
  } catch (error) {
    throw new Error(`${model}: ONNX Runtime cannot load it: ${error.message}`);
  }
}

// Runs a script's main function: an error becomes one readable message and exit status 1,
// or 2 for a bad command line.
export async function runMain(main) {
  try {
    await main();
  } catch (error) {
    console.error(error.message);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
