// A Concat whose parts share a scale although their ranges differ: finalize warns.
#include "qat/passes/concat_ranges.h"

#include "qat/passes/scaffold.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

// What is said of the Concat of two layers of %x, the second by weights of this size and `function`.
std::vector<std::string> said(const std::string& weight, const std::string& function) {
  Graph graph = parse(R"(
    input %x : float[N, 4]
    weight %w : float[4, 4] = [100, -50, 70, ...]
    weight %u : float[4, 4] = [)" + weight + R"(, ...]
    weight %v : float[8, 2] = [1, ...]
    %a = Gemm(%x, %w)
    %p = Gemm(%x, %u)
    %b = )" + function + R"((%p)
    %all = Concat(%a, %b) {axis = 1}
    %y = Gemm(%all, %v)
    output y = %y)");
  scaffold(graph, {});
  calibrate(graph, {randomTensor({4, 4}, 3)});
  return concatsOfUnequalRanges(graph);
}

TEST_CASE("a part that stays far below the range of its Concat is named") {
  const std::vector<std::string> lines = said("100", "Sigmoid");
  REQUIRE(lines.size() == 1);
  CHECK_THAT(lines[0], ContainsSubstring("Concat 'all': its part 'b' stays within 1 and shares a scale") &&
                           ContainsSubstring("{\"node\": \"all\", \"activation\": {\"quantize\": false}}"));
  // By the weights that make it.
  CHECK(said("0.01", "Relu").size() == 1);
  CHECK(said("100", "Relu").empty());
}

}  // namespace
}  // namespace simaqat
