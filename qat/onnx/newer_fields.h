// Fields of ONNX's messages that the installed protobuf classes may be too old for: these keep them
// as unknown fields.
#pragma once

#include <google/protobuf/message.h>

#include <map>
#include <string>
#include <vector>

namespace simaqat::onnx_format {

// The strings, or messages as bytes, of the field with this number.
std::vector<std::string> newerField(const google::protobuf::Message& message, int number);

// The keys and values of metadata_props, the field with this number.
std::map<std::string, std::string> newerMetadata(const google::protobuf::Message& message,
                                                 int number);

}  // namespace simaqat::onnx_format
