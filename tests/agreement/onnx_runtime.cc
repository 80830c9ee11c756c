#include "tests/agreement/onnx_runtime.h"

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "qat/base/file.h"
#include "qat/data/array_reader.h"
#include "tests/data/files.h"

namespace simaqat::onnx_runtime {
namespace {

namespace fs = std::filesystem;

struct CommandResult {
  int status = 0;
  std::string output;  // standard output and standard error
};

std::string quoted(const std::string& word) {
  std::string result = "'";
  for (char c : word) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

CommandResult runCommand(const std::vector<std::string>& words) {
  std::string command;
  for (const std::string& word : words) command += quoted(word) + " ";
  std::FILE* pipe = ::popen((command + "2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  CommandResult result;
  std::array<char, 4096> buffer;
  while (const size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    result.output.append(buffer.data(), count);
  }
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

void runOrThrow(const std::vector<std::string>& words) {
  const CommandResult result = runCommand(words);
  if (result.status != 0) throw std::runtime_error(words[1] + ": " + result.output);
}

// Runfiles are links: the packages of npm stand beside what they lead to.
fs::path folder() {
  std::error_code code;
  return fs::canonical("tests/onnxruntime/run.mjs", code).parent_path();
}

std::string script(const std::string& name) { return (folder() / name).string(); }

std::string temporary(const std::string& name) {
  return std::string(std::getenv("TEST_TMPDIR")) + "/" + name;
}

}  // namespace

std::string missing() {
  if (runCommand({"node", "--version"}).status != 0) return "node";
  if (!fs::exists(folder() / "node_modules" / "onnxruntime-node")) return "onnxruntime-node";
  if (runCommand({"python3", "-c", "import onnx"}).status != 0) return "python3-onnx";
  return "";
}

std::map<std::string, Tensor> run(const std::string& model, const std::string& input_name,
                                  const Tensor& input, const Options& options) {
  const std::string prefix = temporary("onnxruntime");
  const std::string input_file = writeTestFile("onnxruntime_input.npy", npyBytes(input));
  std::vector<std::string> words = {"node", script("run.mjs"), model, input_name + "=" + input_file,
                                    prefix};
  const auto option = [&](const std::string& name, const std::string& value) {
    words.insert(words.end(), {"--" + name, value});
  };
  if (options.batch > 0) option("batch", std::to_string(options.batch));
  if (!options.save_optimized.empty()) option("save-optimized", options.save_optimized);
  // A saved graph must stay standard enough to be read; "all" lays it out for this machine too.
  const char* level = options.save_optimized.empty() ? "all" : "extended";
  option("optimize", options.optimize ? level : "none");
  runOrThrow(words);

  std::map<std::string, Tensor> outputs;
  const nlohmann::json index = nlohmann::json::parse(readFile(prefix + ".json"));
  for (const auto& entry : index.at("outputs")) {
    const std::string file = temporary(entry.at("file").get<std::string>());
    std::string name = entry.at("name").get<std::string>();
    Tensor value = readArray(file);
    fs::remove(file);
    // See expose_values.py.
    const std::string narrow = "/uint4";
    const bool is_narrow = name.size() > narrow.size() &&
                           name.compare(name.size() - narrow.size(), narrow.size(), narrow) == 0;
    if (is_narrow) {
      name.resize(name.size() - narrow.size());
      value = value.converted(ElementType::kUint4);
    }
    outputs[name] = std::move(value);
  }
  return outputs;
}

void exposeCodes(const std::string& model, const std::string& output) {
  runOrThrow({"python3", script("expose_values.py"), model, output, "--codes"});
}

NodeKinds nodeKinds(const std::string& optimized) {
  const CommandResult result =
      runCommand({"python3", script("integer_nodes.py"), optimized, "--json"});
  if (result.status != 0) throw std::runtime_error("integer_nodes.py: " + result.output);
  const nlohmann::json json = nlohmann::json::parse(result.output);
  NodeKinds kinds;
  for (const auto& node : json.at("nodes")) {
    const std::string kind = node.at("kind").get<std::string>();
    kinds.by_name[node.at("name").get<std::string>()] = kind;
    for (const auto& output : node.at("outputs")) kinds.by_output[output.get<std::string>()] = kind;
  }
  return kinds;
}

std::string floatProducts(const std::string& optimized) {
  const CommandResult result =
      runCommand({"python3", script("integer_nodes.py"), optimized, "--require-integer"});
  if (result.status == 0) return "";
  std::string lines;
  size_t from = 0;
  while (from < result.output.size()) {
    const size_t end = std::min(result.output.find('\n', from), result.output.size());
    const std::string line = result.output.substr(from, end - from);
    if (line.find("runs in float") != std::string::npos) lines += line + "\n";
    from = end + 1;
  }
  if (lines.empty()) throw std::runtime_error("integer_nodes.py: " + result.output);
  return lines;
}

}  // namespace simaqat::onnx_runtime
