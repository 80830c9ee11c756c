#include "qat/base/file.h"

#include <filesystem>

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

}  // namespace
}  // namespace simaqat
