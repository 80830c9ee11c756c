// NumPy's .npy files, as ONNX Runtime tensors.
import ort from 'onnxruntime-node';
import fs from 'node:fs';

// ONNX Runtime's element type, NumPy's, and the array that holds such elements.
const TYPES = [
  ['float32', '<f4', Float32Array],
  ['float64', '<f8', Float64Array],
  ['float16', '<f2', Uint16Array],
  ['int64', '<i8', BigInt64Array],
  ['int32', '<i4', Int32Array],
  ['int16', '<i2', Int16Array],
  ['int8', '|i1', Int8Array],
  ['uint64', '<u8', BigUint64Array],
  ['uint32', '<u4', Uint32Array],
  ['uint16', '<u2', Uint16Array],
  ['uint8', '|u1', Uint8Array],
  ['bool', '|b1', Uint8Array],
];

export function readNpy(path) {
  const bytes = fs.readFileSync(path);
  if (bytes.subarray(0, 6).toString('latin1') !== '\x93NUMPY') {
    throw new Error(`${path}: not a .npy file`);
  }
  const wide = bytes[6] > 1;
  const start = wide ? 12 : 10;
  const end = start + (wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
  const header = bytes.subarray(start, end).toString('latin1');

  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const shape = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1];
  if (descr === undefined || shape === undefined) {
    throw new Error(`${path}: cannot read its header: ${header.trim()}`);
  }
  if (!/'fortran_order':\s*False/.test(header)) {
    throw new Error(`${path}: in Fortran order: save numpy.ascontiguousarray of it`);
  }
  const type = TYPES.find(([, npy]) => npy === descr);
  if (!type) throw new Error(`${path}: elements of type ${descr} are not supported`);

  const dims = shape.split(',').filter(size => size.trim()).map(Number);
  const [name, , ArrayType] = type;
  const size = dims.reduce((a, b) => a * b, 1);
  const data = bytes.subarray(end);
  if (data.length !== size * ArrayType.BYTES_PER_ELEMENT) {
    throw new Error(`${path}: ${data.length} bytes of data for ${name} of [${dims}]`);
  }
  // A copy: the file's bytes may start at any address, an array's may not.
  const copy = data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
  return new ort.Tensor(name, new ArrayType(copy), dims);
}

export function writeNpy(path, {type, dims, data}) {
  const known = TYPES.find(([name]) => name === type);
  if (!known) throw new Error(`${path}: elements of type ${type} are not supported`);
  const shape = dims.map(size => `${size},`).join(' ');
  const dictionary = `{'descr': '${known[1]}', 'fortran_order': False, 'shape': (${shape}), }`;
  // The data begins at a multiple of 64 bytes, as the format asks.
  const length = Math.ceil((10 + dictionary.length + 1) / 64) * 64 - 10;
  const start = Buffer.alloc(10);
  start.write('\x93NUMPY\x01\x00', 'latin1');
  start.writeUInt16LE(length, 8);
  fs.writeFileSync(path, Buffer.concat([
    start,
    Buffer.from(dictionary.padEnd(length - 1) + '\n', 'latin1'),
    Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  ]));
}
