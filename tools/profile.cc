#include "tools/profile.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "qat/base/file.h"
#include "qat/ir/op.h"

namespace simaqat {
namespace {

double millisecondsOf(const Executor::NodeTime& time) {
  return std::chrono::duration<double, std::milli>(time.end - time.begin).count();
}

double bytesOf(const Node& node) {
  double bytes = 0;
  for (const Value* input : node.inputs()) {
    if (input != nullptr) bytes += static_cast<double>(input->type.bytes());
  }
  for (const Value* output : node.outputs()) bytes += static_cast<double>(output->type.bytes());
  return bytes;
}

bool multipliesCodes(const Node& node) {
  const std::string name = node.op().qualifiedName();
  return name == "simaqat::QuantizedConv" || name == "simaqat::QuantizedGemm";
}

// A line of the tables: one node, or all of one operator.
struct Row {
  std::string name;
  double milliseconds = 0, operations = 0, bytes = 0;
  bool on_codes = false;
  int count = 0;
};

void printRows(std::vector<Row> rows, size_t most, const kernels::MachinePeak& peak) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.milliseconds > b.milliseconds; });
  if (rows.size() > most) rows.resize(most);
  std::printf("%9s %6s %9s %8s %7s %7s  %s\n", "ms", "nodes", "GFLOP/s", "GB/s", "% ops",
              "% bytes", "");
  for (const Row& row : rows) {
    const double seconds = std::max(row.milliseconds, 1e-6) / 1000;
    const double best = row.on_codes ? peak.integer_operations : peak.float_operations;
    std::printf("%9.3f %6d %9.1f %8.1f %7.1f %7.1f  %s\n", row.milliseconds, row.count,
                row.operations / seconds / 1e9, row.bytes / seconds / 1e9,
                100 * row.operations / seconds / best, 100 * row.bytes / seconds / peak.bytes,
                row.name.c_str());
  }
}

}  // namespace

void writeTrace(const std::string& path, const std::vector<Executor::NodeTime>& times) {
  nlohmann::ordered_json events = nlohmann::ordered_json::array();
  const auto start = times.empty() ? std::chrono::steady_clock::time_point() : times.front().begin;
  const auto microseconds = [](auto duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
  };
  for (const Executor::NodeTime& time : times) {
    nlohmann::ordered_json event;
    event["name"] = time.node->name();
    event["cat"] = time.node->op().qualifiedName();
    event["ph"] = "X";
    event["ts"] = microseconds(time.begin - start);
    event["dur"] = microseconds(time.end - time.begin);
    event["pid"] = 0;
    event["tid"] = 0;
    event["args"] = {{"operator", time.node->op().qualifiedName()},
                     {"operations", operationsOf(*time.node)},
                     {"bytes", bytesOf(*time.node)}};
    events.push_back(std::move(event));
  }
  writeFileAtomically(path, nlohmann::ordered_json{{"traceEvents", std::move(events)}}.dump() + "\n");
}

StepFloor floorOf(const std::vector<Executor::NodeTime>& step, const kernels::MachinePeak& peak) {
  StepFloor floor;
  for (const Executor::NodeTime& time : step) {
    (multipliesCodes(*time.node) ? floor.code_operations : floor.other_operations) +=
        operationsOf(*time.node);
    floor.bytes += bytesOf(*time.node);
  }
  floor.code_ms = 1000 * floor.code_operations / peak.integer_operations;
  floor.other_ms = 1000 * floor.other_operations / peak.float_operations;
  floor.bytes_ms = 1000 * floor.bytes / peak.bytes;
  return floor;
}

void printProfile(const std::vector<std::vector<Executor::NodeTime>>& samples,
                  const kernels::MachinePeak& peak) {
  std::printf("this machine: %.0f GFLOP/s of floats, %.0f GOP/s of 8-bit codes, %.1f GB/s\n",
              peak.float_operations / 1e9, peak.integer_operations / 1e9, peak.bytes / 1e9);
  std::vector<Row> nodes;
  std::map<std::string, Row> operators;
  for (size_t i = 0; i < samples.front().size(); ++i) {
    std::vector<double> milliseconds;
    for (const auto& sample : samples) milliseconds.push_back(millisecondsOf(sample[i]));
    std::sort(milliseconds.begin(), milliseconds.end());
    const Node& node = *samples.front()[i].node;
    const Row row{fmt::format("{} {}", node.op().qualifiedName(), node.name()),
                  milliseconds[milliseconds.size() / 2],
                  operationsOf(node),
                  bytesOf(node),
                  multipliesCodes(node),
                  1};
    Row& all = operators[node.op().qualifiedName()];
    all.name = node.op().qualifiedName();
    all.milliseconds += row.milliseconds;
    all.operations += row.operations;
    all.bytes += row.bytes;
    all.on_codes = row.on_codes;
    all.count += 1;
    nodes.push_back(row);
  }
  std::vector<Row> by_operator;
  for (const auto& [name, row] : operators) by_operator.push_back(row);
  std::printf("\nby operator\n");
  printRows(std::move(by_operator), by_operator.size() + operators.size(), peak);
  constexpr size_t kMostNodes = 40;
  std::printf("\nby node\n");
  printRows(std::move(nodes), kMostNodes, peak);
}

}  // namespace simaqat
