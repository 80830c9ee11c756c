#include "qat/ir/attributes.h"

#include "tests/catch.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

struct Example {
  int64_t axis = -1;
  float epsilon = 1e-5f;
  bool keep = true;
  std::string mode = "constant";
  std::vector<int64_t> pads;
  std::optional<int64_t> seed;
  int64_t to = 0;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("axis", self.axis);
    visit("epsilon", self.epsilon);
    visit("keep", self.keep);
    visit("mode", self.mode);
    visit("pads", self.pads);
    visit("seed", self.seed);
    visit.required("to", self.to);
  }
};

bool equal(const AttributeMap& a, const AttributeMap& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
           return x.first == y.first && attributesEqual(x.second, y.second);
         });
}

Example parse(const AttributeMap& map) {
  TypedAttributes<Example> attributes;
  attributes.parse(map);
  return attributes.value;
}

TEST_CASE("what is not given has its default") {
  const Example example = parse({{"to", int64_t{7}}});
  CHECK(example.axis == -1);
  CHECK(example.epsilon == 1e-5f);
  CHECK(example.keep);
  CHECK(example.mode == "constant");
  CHECK(example.pads.empty());
  CHECK(!example.seed.has_value());
  CHECK(example.to == 7);
}

TEST_CASE("attributes written are attributes read, without defaults") {
  const AttributeMap map = {{"axis", int64_t{2}},         {"keep", int64_t{0}},
                            {"mode", std::string("edge")}, {"pads", std::vector<int64_t>{1, 2}},
                            {"seed", int64_t{0}},         {"to", int64_t{0}}};
  TypedAttributes<Example> attributes;
  attributes.parse(map);
  const AttributeMap written = attributes.toMap();
  CHECK(equal(written, map));
  CHECK(equal(attributes.clone()->toMap(), map));
  // A required one is written even where it is zero.
  CHECK(equal(TypedAttributes<Example>().toMap(), {{"to", int64_t{0}}}));
}

TEST_CASE("wrong attributes are errors that name them") {
  CHECK_THROWS_WITH(parse({}), ContainsSubstring("attribute 'to' is missing"));
  CHECK_THROWS_WITH(parse({{"to", 1.0f}}), ContainsSubstring("'to' has the wrong type (a float)"));
  CHECK_THROWS_WITH(parse({{"to", int64_t{1}}, {"epsilon", int64_t{1}}}),
                    ContainsSubstring("'epsilon' has the wrong type (an integer)"));
  CHECK_THROWS_WITH(parse({{"to", int64_t{1}}, {"pads", std::string("x")}}),
                    ContainsSubstring("'pads' has the wrong type (a string)"));
  CHECK_THROWS_WITH(parse({{"to", int64_t{1}}, {"seed", std::vector<float>{}}}),
                    ContainsSubstring("'seed' has the wrong type (a list of floats)"));
  CHECK_THROWS_WITH(parse({{"to", int64_t{1}}, {"axes", int64_t{1}}}),
                    ContainsSubstring("attribute 'axes' is not known"));
}

TEST_CASE("attributes compare by kind and content") {
  CHECK(attributesEqual(int64_t{1}, int64_t{1}));
  CHECK(!attributesEqual(int64_t{1}, 1.0f));
  CHECK(attributesEqual(Tensor::scalar(1.0f), Tensor::scalar(1.0f)));
  CHECK(!attributesEqual(Tensor::scalar(1.0f), Tensor::scalar(2.0f)));
}

}  // namespace
}  // namespace simaqat
