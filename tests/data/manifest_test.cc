#include "qat/data/manifest.h"

#include "qat/base/hash.h"
#include "tests/catch.h"
#include "tests/data/files.h"

using namespace simaqat;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string errorOf(const std::string& json) {
  const std::string path = writeTestFile("manifest.json", json);
  const std::string message = inputErrorOf([&] { loadManifest(path); });
  CHECK(message.rfind(path + ": ", 0) == 0);
  CHECK(message.find('\n') == std::string::npos);
  return message;
}

std::string withTransform(const std::string& transform) {
  return R"({"splits": {"train": {"fields": {"input": {"array": "a", "transforms": [)" + transform +
         "]}}}}}";
}

}  // namespace

TEST_CASE("A manifest is read as written") {
  const std::string json = R"({"splits": {
    "train": {"fields": {
      "input": {"array": "x.gz", "transforms": [
        {"pad_crop": {"padding": 2}}, {"horizontal_flip": {}},
        {"normalize": {"scale": 255, "mean": [0.25, 0.5], "std": [2]}}]},
      "labels": {"array": "/abs/y.npy"}}},
    "test": {"fields": {"input": {"array": "t.npz#x", "transforms": [{"normalize": {}}]}}}}})";
  const std::string path = writeTestFile("manifest.json", json);
  const Manifest manifest = loadManifest(path);
  CHECK(manifest.path == path);
  CHECK(manifest.folder + "/manifest.json" == path);
  CHECK(manifest.hash == hashHex(json));
  REQUIRE(manifest.splits.size() == 2);

  const Split& train = manifest.splits.at("train");
  REQUIRE(train.fields.size() == 2);
  CHECK(train.fields.at("labels").array == "/abs/y.npy");
  CHECK(train.fields.at("labels").transforms.empty());
  const Field& input = train.fields.at("input");
  CHECK(input.array == manifest.folder + "/x.gz");
  REQUIRE(input.transforms.size() == 3);
  CHECK(input.transforms[0].kind == Transform::kPadCrop);
  CHECK(input.transforms[0].padding == 2);
  CHECK(input.transforms[1].kind == Transform::kHorizontalFlip);
  CHECK(input.transforms[2].kind == Transform::kNormalize);
  CHECK(input.transforms[2].scale == 255);
  CHECK(input.transforms[2].mean == std::vector<float>{0.25f, 0.5f});
  CHECK(input.transforms[2].std == std::vector<float>{2});

  const Transform& plain = manifest.splits.at("test").fields.at("input").transforms.at(0);
  CHECK(plain.scale == 1);
  CHECK(plain.mean == std::vector<float>{0});
  CHECK(plain.std == std::vector<float>{1});
}

TEST_CASE("Shards belong to a split, members to its fields") {
  const std::string path = writeTestFile("manifest.json", R"({"splits": {"train": {
    "shards": "train-*.tar", "fields": {
      "input": {"member": "jpg", "transforms": [{"horizontal_flip": {}}]},
      "labels": {"member": "cls"}, "weights": {"array": "w.npy"}}}}})");
  const Manifest manifest = loadManifest(path);
  const std::map<std::string, Field>& fields = manifest.splits.at("train").fields;
  CHECK(fields.at("input").member == "jpg");
  CHECK(fields.at("input").array.empty());
  CHECK(fields.at("input").shards == manifest.folder + "/train-*.tar");
  CHECK(fields.at("input").transforms.size() == 1);
  CHECK(fields.at("labels").place() == manifest.folder + "/train-*.tar: member 'cls'");
  CHECK(fields.at("weights").array == manifest.folder + "/w.npy");
  CHECK(fields.at("weights").member.empty());

  CHECK_THAT(errorOf(R"({"splits": {"train": {"fields": {"input": {"member": "jpg"}}}}})"),
             ContainsSubstring("split 'train', field 'input': is a member, and the split names no "
                               "\"shards\""));
  CHECK_THAT(errorOf(R"({"splits": {"train": {"shards": "a.tar", "fields": {"x": {"array": "a"}}}}})"),
             ContainsSubstring("split 'train' has \"shards\", and no field is a \"member\" of them"));
  CHECK_THAT(errorOf(R"({"splits": {"train": {"shards": "a", "fields": {
      "x": {"array": "a", "member": "jpg"}}}}})"),
             ContainsSubstring("source"));
  CHECK_THAT(errorOf(R"({"splits": {"train": {"shards": ["a"], "fields": {"x": {"member": "b"}}}}})"),
             ContainsSubstring("shards"));
}

TEST_CASE("An unknown key is named") {
  CHECK_THAT(errorOf(R"({"splitz": {}})"), ContainsSubstring("splitz"));
  CHECK_THAT(errorOf(R"({"splits": {"train": {"fieldz": {}}}})"), ContainsSubstring("fieldz"));
  CHECK_THAT(errorOf(R"({"splits": {"train": {"fields": {"input": {"aray": "x"}}}}})"),
             ContainsSubstring("aray"));
  CHECK_THAT(errorOf(withTransform(R"({"normalise": {}})")), ContainsSubstring("normalise"));
  CHECK_THAT(errorOf(withTransform(R"({"normalize": {"men": [1]}})")), ContainsSubstring("men"));
}

TEST_CASE("What is no manifest is an error") {
  CHECK_THAT(inputErrorOf([] { loadManifest("/no/such.json"); }),
             ContainsSubstring("/no/such.json"));
  errorOf("");
  errorOf("{\"splits\":\n{\"train\": \n oops }}");
  errorOf("[1, 2]");
  errorOf(R"({"splits": 3})");
  errorOf(std::string(100000, '['));
  errorOf(std::string(100000, '{'));
  CHECK_THAT(errorOf("{}"), ContainsSubstring("has no splits"));
  CHECK_THAT(errorOf(R"({"splits": {"train": {}}})"),
             ContainsSubstring("split 'train' has no fields"));
  CHECK_THAT(errorOf(R"({"splits": {"train": {"fields": {"input": {}}}}})"),
             ContainsSubstring("split 'train', field 'input': has no source"));
}

TEST_CASE("A transform that cannot be is named with its place") {
  const std::string place = "split 'train', field 'input': transforms[0]: ";
  CHECK_THAT(errorOf(withTransform("{}")), ContainsSubstring(place + "names no kind"));
  CHECK_THAT(errorOf(withTransform(R"({"normalize": {}, "horizontal_flip": {}})")),
             ContainsSubstring("kind"));
  CHECK_THAT(errorOf(withTransform(R"({"normalize": {"std": [1, 0]}})")),
             ContainsSubstring(place + "normalize: std has 0"));
  CHECK_THAT(errorOf(withTransform(R"({"normalize": {"std": [-1]}})")),
             ContainsSubstring("std has -1"));
  CHECK_THAT(errorOf(withTransform(R"({"normalize": {"mean": ["NaN"]}})")),
             ContainsSubstring("mean has nan"));
  CHECK_THAT(errorOf(withTransform(R"({"normalize": {"scale": 0}})")),
             ContainsSubstring("scale is 0"));
  CHECK_THAT(errorOf(withTransform(R"({"normalize": {"mean": [1, 2], "std": [1, 2, 3]}})")),
             ContainsSubstring("mean has 2 values, std 3"));
  CHECK_THAT(errorOf(withTransform(R"({"pad_crop": {}})")), ContainsSubstring("padding is 0"));
  CHECK_THAT(errorOf(withTransform(R"({"pad_crop": {"padding": -3}})")),
             ContainsSubstring("padding is -3"));
}
