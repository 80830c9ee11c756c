#include "qat/passes/pass.h"

#include <cstdio>
#include <set>

#include "qat/base/error.h"
#include "qat/base/text.h"
#include "qat/ir/printer.h"
#include "qat/ir/verifier.h"

namespace simaqat {
namespace {

std::string& dumpAfter() {
  static std::string name;
  return name;
}

std::set<std::string>& passesRun() {
  static std::set<std::string> names;
  return names;
}

}  // namespace

void setDumpAfter(const std::string& name) { dumpAfter() = name; }

void checkDumpAfter() {
  const std::string& name = dumpAfter();
  if (name.empty() || name == "all" || passesRun().count(name) != 0) return;
  throw usageError("--dump-after {}: no such pass has run; these have: {}", name,
                   joined({passesRun().begin(), passesRun().end()}));
}

void runPass(Graph& graph, const std::string& name, const std::function<void(Graph&)>& pass) {
  pass(graph);
  verify(graph, name);
  passesRun().insert(name);
  if (dumpAfter() == name || dumpAfter() == "all") {
    const std::string text = fmt::format("# after {}\n{}", name, toText(graph));
    std::fwrite(text.data(), 1, text.size(), stderr);
  }
}

}  // namespace simaqat
