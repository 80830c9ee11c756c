#include "qat/base/file.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "qat/base/error.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;

// A folder of its own for one test case.
struct Folder {
  explicit Folder(const std::string& name) : path(fs::temp_directory_path() / ("simaqat_" + name)) {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }
  fs::path path;
};

TEST_CASE("a file that is not committed leaves the old one") {
  const Folder folder("atomic_file");
  const std::string path = (folder.path / "model.onnx").string();
  writeFileAtomically(path, "old");
  {
    AtomicFile file(path);
    file.write("new, and interrupted");
    CHECK(readFile(path) == "old");
  }
  CHECK(readFile(path) == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("a committed file takes the old one's place") {
  const Folder folder("atomic_commit");
  const std::string path = (folder.path / "model.onnx").string();
  writeFileAtomically(path, "a longer old text");
  AtomicFile file(path);
  file.write("new");
  file.write(std::string(1, '\0') + "tail");
  file.commit();
  CHECK(readFile(path) == std::string("new\0tail", 8));
  CHECK(folder.files() == 1);
}

TEST_CASE("files that cannot be read or written are named") {
  const Folder folder("file_errors");
  const std::string missing = (folder.path / "missing" / "x").string();
  CHECK_THROWS_WITH(readFile(missing), ContainsSubstring(missing));
  CHECK_THROWS_WITH(readFile(folder.path.string()), ContainsSubstring("is a folder"));
  CHECK_THROWS_WITH(writeFileAtomically(missing, "x"), ContainsSubstring(missing));
  writeFileAtomically((folder.path / "empty").string(), "");
  CHECK(readFile((folder.path / "empty").string()).empty());
}

TEST_CASE("a file's bytes are the same whether it is mapped or read") {
  const Folder folder("file_bytes");
  const std::string path = (folder.path / "file").string();
  const std::string text(100000, 'x');
  writeFileAtomically(path, text);
  const FileBytes mapped(path);
  CHECK(mapped.view() == text);
  // The file is replaced, not changed.
  writeFileAtomically(path, "new");
  CHECK(mapped.view() == text);
  writeFileAtomically(path, "");
  CHECK(FileBytes(path).view().empty());

  const std::string pipe = (folder.path / "pipe").string();
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  std::thread writer([&] { std::ofstream(pipe) << text; });
  const FileBytes read(pipe);
  writer.join();
  CHECK(read.view() == text);

  CHECK_THROWS_WITH(FileBytes(folder.path.string()), ContainsSubstring("is a folder"));
  CHECK_THROWS_WITH(FileBytes(path + "-missing"), ContainsSubstring(path + "-missing"));
}

}  // namespace
}  // namespace simaqat
