// JSON into protobuf messages, for the files that users write.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace simaqat {

// Reads strictly: an input Error, one line that begins with `path`, where the text is no JSON or
// has a key that is unknown or given twice, a null, a value of another type, or more behind its
// end.
void readJsonMessage(const std::string& path, const std::string& json,
                     google::protobuf::Message* message);

}  // namespace simaqat
