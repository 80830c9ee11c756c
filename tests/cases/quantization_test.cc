// ../shared/cases: what is quantized, and what ships of it.
#include <sstream>

#include "tests/cases/cases.h"
#include "tests/catch.h"

namespace simaqat::cases {
namespace {

using Catch::Matchers::ContainsSubstring;

// The line of `prepare`'s table about a node.
std::string rowOf(const std::string& table, const std::string& node) {
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(node + " ", 0) == 0) return line;
  }
  return "";
}

TEST_CASE("convolutions whose weight is computed") {
  if (!present()) QAT_SKIP("../shared is not here");
  for (const char* name : {"batch_norm_gain", "batch_norm_plain", "weight_norm", "reshape"}) {
    const Case c("standardized_weights", name);
    checkStep(c);
    checkInteger(checkFlow(c).exported);
  }
}

TEST_CASE("parts of a stored weight") {
  if (!present()) QAT_SKIP("../shared is not here");
  for (const char* name : {"slice", "split"}) {
    const Flow flow = runFlow(Case("split_weights", name));
    CHECK_THAT(rowOf(flow.table, "mm"), ContainsSubstring("int8 per channel (axis 1)  integer"));
    const Graph graph = graphOf(flow.exported);
    for (const auto& node : graph.nodes()) {
      if (node->opType() != "MatMul") continue;
      const Node* weight = node->input(1)->producer();
      REQUIRE(weight != nullptr);
      CHECK(weight->input(0)->constant.type() == ElementType::kInt8);
      CHECK(weight->input(1)->type.dims() == std::vector<int64_t>{8});
    }
  }
}

TEST_CASE("a parameter that is repeated over the batch") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Flow flow = runFlow(Case("expanded_parameter"));
  CHECK_THAT(rowOf(flow.table, "add"), ContainsSubstring("integer"));
  CHECK_THAT(rowOf(flow.table, "ex"), ContainsSubstring("shares its input's"));
}

TEST_CASE("attention that divides by a sum of products") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case c("linear_attention");
  checkStep(c);
  const Flow flow = checkFlow(c, 0.1);
  for (const char* node : {"/att/Add_1", "/att/MatMul_1"}) {
    CHECK_THAT(rowOf(flow.table, node),
               ContainsSubstring("- a code of 0 would make Div '/att/Div_1' infinite"));
  }
}

}  // namespace
}  // namespace simaqat::cases
