#include "qat/data/array_reader.h"

#include "tests/catch.h"
#include "tests/data/files.h"

using namespace simaqat;
using Catch::Matchers::ContainsSubstring;

namespace {

template <class T>
Tensor someTensor() {
  return Tensor::of<T>({2, 3}, {T(0), T(1), T(1), T(0), T(1), std::numeric_limits<T>::max()});
}

Tensor reread(const std::string& name, const std::string& bytes, const std::string& key = "") {
  return readArray(writeTestFile(name, bytes) + key);
}

std::string errorOf(const std::string& bytes, const std::string& key = "") {
  const std::string path = writeTestFile("bad", bytes);
  const std::string message = inputErrorOf([&] { readArray(path + key); });
  CHECK_THAT(message, ContainsSubstring(path));
  CHECK(message.find('\n') == std::string::npos);
  return message;
}

const std::string kFloats24(24, '\1');

}  // namespace

TEMPLATE_TEST_CASE("npy comes back as written, gzipped or not", "", bool, uint8_t, int8_t, uint16_t,
                   int16_t, uint32_t, int32_t, uint64_t, int64_t, float, double) {
  const Tensor tensor = someTensor<TestType>();
  for (int version = 1; version <= 3; ++version) {
    const std::string bytes = npyBytes(tensor, version);
    CHECK(reread("a.npy", bytes).identical(tensor));
    CHECK(reread("a.npy.gz", gzipped(bytes)).identical(tensor));
  }
}

TEMPLATE_TEST_CASE("IDX comes back as written, gzipped or not", "", uint8_t, int8_t, int16_t,
                   int32_t, float, double) {
  const Tensor tensor = someTensor<TestType>();
  CHECK(reread("a-idx2-ubyte", idxBytes(tensor)).identical(tensor));
  CHECK(reread("a-idx2-ubyte.gz", gzipped(idxBytes(tensor))).identical(tensor));
}

TEST_CASE("npz gives the array of the key") {
  const Tensor a = someTensor<float>();
  const Tensor b = someTensor<int64_t>();
  const bool deflated = GENERATE(false, true);
  const std::string bytes = npzBytes({{"a.npy", npyBytes(a)}, {"b.npy", npyBytes(b)}}, deflated);
  CHECK(reread("x.npz", bytes, "#a").identical(a));
  CHECK(reread("x.npz", bytes, "#b").identical(b));
  CHECK(reread("x.npz.gz", gzipped(bytes), "#b").identical(b));
  CHECK_THAT(errorOf(bytes, "#c"), ContainsSubstring("has no array 'c'; it has a, b"));
  CHECK_THAT(errorOf(bytes), ContainsSubstring("it has a, b"));
}

TEST_CASE("A name with a # of its own is a file") {
  const Tensor tensor = someTensor<float>();
  CHECK(reread("odd#name.npy", npyBytes(tensor)).identical(tensor));
  CHECK_THAT(errorOf(npyBytes(tensor), "#key"), ContainsSubstring("#key"));
}

TEST_CASE("Scalars, one-dimensional Fortran order and arrays of several steps are read") {
  CHECK(reread("a.npy", npyBytes(Tensor::scalar(3.5f))).identical(Tensor::scalar(3.5f)));
  const Tensor row = reread("a.npy", npyWithHeader("{'descr': '<f4', 'fortran_order': True, "
                                                   "'shape': (6L,)}",
                                                   kFloats24));
  CHECK(row.dims() == std::vector<int64_t>{6});
  Tensor large(ElementType::kInt32, {1000, 333});
  for (int32_t i = 0; i < large.size(); ++i) large.mutableData<int32_t>()[i] = i;
  CHECK(reread("a.npy.gz", gzipped(npyBytes(large))).identical(large));
}

TEST_CASE("A file that is not there or not an array is named") {
  CHECK_THAT(inputErrorOf([] { readArray("/no/such/file.npy"); }),
             ContainsSubstring("/no/such/file.npy: cannot be opened: No such file"));
  CHECK_THAT(inputErrorOf([] { readArray("/tmp"); }), ContainsSubstring("/tmp: is a folder"));
  CHECK_THAT(errorOf(""), ContainsSubstring("neither"));
  CHECK_THAT(errorOf("hello, world"), ContainsSubstring("neither"));
}

TEST_CASE("A truncated or overlong file says what was expected") {
  const std::string npy = npyBytes(someTensor<float>());
  const std::string idx = idxBytes(someTensor<float>());
  CHECK_THAT(errorOf(npy.substr(0, npy.size() - 1)),
             ContainsSubstring("promises 24 bytes of data, 23 are there"));
  CHECK_THAT(errorOf(gzipped(npy.substr(0, npy.size() - 1))),
             ContainsSubstring("promises 24 bytes of data, 23 are there"));
  CHECK_THAT(errorOf(npy + "x"), ContainsSubstring("is longer than the 24 bytes"));
  CHECK_THAT(errorOf(idx + "x"), ContainsSubstring("is longer than the 24 bytes"));
  CHECK_THAT(errorOf(idx.substr(0, 9)), ContainsSubstring("truncated within its header"));
  CHECK_THAT(errorOf(gzipped(npy).substr(0, 40)), ContainsSubstring("truncated"));
  std::string wrong_sum = gzipped(npy);
  wrong_sum[wrong_sum.size() - 6] ^= 1;
  CHECK_THAT(errorOf(wrong_sum), ContainsSubstring("incorrect data check"));
}

TEST_CASE("Headers that claim the moon allocate nothing") {
  const auto npy = [](const std::string& shape) {
    return npyWithHeader("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + "}",
                         kFloats24);
  };
  for (const char* shape : {"(1000000000000,)", "(9223372036854775807,)",
                            "(4611686018427387904, 4)", "(4294967296, 4294967296)"}) {
    CAPTURE(shape);
    errorOf(npy(shape));
    errorOf(gzipped(npy(shape)));
  }
  CHECK_THAT(errorOf(npy("(99999999999999999999,)")), ContainsSubstring("header is damaged"));
  std::string idx("\0\0\x0E\x04", 4);
  errorOf(idx + std::string(16, '\xff') + "data");
  idx[3] = '\xff';
  errorOf(idx + std::string(2000, '\xff'));
  CHECK_THAT(errorOf(std::string("\x93NUMPY\x02\0\xff\xff\xff\xff", 12)),
             ContainsSubstring("claims 4294967295 bytes"));
}

TEST_CASE("What .npy can say and a tensor cannot hold is an error") {
  const auto npy = [](const std::string& header) { return npyWithHeader(header, kFloats24); };
  const std::string rest = ", 'fortran_order': False, 'shape': (6,)}";
  CHECK_THAT(errorOf(npy("{'descr': '>f4'" + rest)), ContainsSubstring("'>f4'"));
  CHECK_THAT(errorOf(npy("{'descr': '|O'" + rest)), ContainsSubstring("'|O'"));
  CHECK_THAT(errorOf(npy("{'descr': [('a', '<f4')]" + rest)), ContainsSubstring("records"));
  CHECK_THAT(errorOf(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}")),
             ContainsSubstring("Fortran order"));
  CHECK_THAT(errorOf(npy("{'descr': '<f4', 'shape': (6,)}")), ContainsSubstring("damaged"));
  CHECK_THAT(errorOf(npy("{'descr': '<f4', 'descr': '<f4'" + rest)), ContainsSubstring("damaged"));
  CHECK_THAT(errorOf(npy("{'descr': '<f4'" + rest + "}")), ContainsSubstring("damaged"));
  CHECK_THAT(
      errorOf(
          npy("{'descr': '|b1', 'fortran_order': False, 'shape': (24,)}").replace(70, 3, "\2\2\2")),
      ContainsSubstring("not a bool"));
  CHECK_THAT(errorOf(std::string("\x93NUMPY\x04\0\0\0\0\0", 12)), ContainsSubstring("version 4"));
}
