#include "qat/base/json_message.h"

#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "qat/base/error.h"

namespace simaqat {
namespace {

using Json = nlohmann::json;

// What protobuf's reader lets pass: it takes a null for nothing, and merges what is given twice.
void refuseNullsAndRepeats(const std::string& path, const std::string& json) {
  std::vector<std::set<std::string>> open_objects;
  std::string key;
  const auto look = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key) {
      key = value.get<std::string>();
      if (!open_objects.back().insert(key).second) {
        throw inputError("{}: '{}' is given twice", path, key);
      }
    }
    if (event == Json::parse_event_t::value && value.is_null()) {
      throw inputError("{}: '{}' has a null, which stands for nothing", path, key);
    }
    return true;
  };
  // Syntax errors are protobuf's to tell: it shows the place.
  [[maybe_unused]] const Json parsed = Json::parse(json, look, false);
}

}  // namespace

void readJsonMessage(const std::string& path, const std::string& json,
                     google::protobuf::Message* message) {
  refuseNullsAndRepeats(path, json);
  const auto status = google::protobuf::util::JsonStringToMessage(json, message);
  if (!status.ok()) {
    const auto reason = status.message();
    throw inputError("{}: {}", path, onOneLine({reason.data(), reason.size()}));
  }
}

}  // namespace simaqat
