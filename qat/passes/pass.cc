#include "qat/passes/pass.h"

#include <cstdio>

#include "qat/ir/printer.h"
#include "qat/ir/verifier.h"

namespace simaqat {
namespace {

std::string& dumpAfter() {
  static std::string name;
  return name;
}

}  // namespace

void setDumpAfter(const std::string& name) { dumpAfter() = name; }

void runPass(Graph& graph, const std::string& name, const std::function<void(Graph&)>& pass) {
  verify(graph, "what comes before " + name);
  pass(graph);
  verify(graph, name);
  if (dumpAfter() == name || dumpAfter() == "all") {
    const std::string text = fmt::format("# after {}\n{}", name, toText(graph));
    std::fwrite(text.data(), 1, text.size(), stderr);
  }
}

}  // namespace simaqat
