#include "qat/onnx/newer_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>
#include <onnx/onnx_pb.h>

namespace simaqat::onnx_format {

std::vector<std::string> newerField(const google::protobuf::Message& message, int number) {
  std::vector<std::string> values;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (const auto* known = message.GetDescriptor()->FindFieldByNumber(number)) {
    if (known->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(message, known); ++i) {
        values.push_back(reflection.GetRepeatedMessage(message, known, i).SerializeAsString());
      }
    } else if (reflection.HasField(message, known)) {
      values.push_back(reflection.GetString(message, known));
    }
    return values;
  }
  const google::protobuf::UnknownFieldSet& fields = reflection.GetUnknownFields(message);
  for (int i = 0; i < fields.field_count(); ++i) {
    const auto& field = fields.field(i);
    if (field.number() == number &&
        field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED) {
      values.push_back(field.length_delimited());
    }
  }
  return values;
}

std::map<std::string, std::string> newerMetadata(const google::protobuf::Message& message,
                                                 int number) {
  std::map<std::string, std::string> metadata;
  for (const std::string& bytes : newerField(message, number)) {
    onnx::StringStringEntryProto entry;
    if (entry.ParseFromString(bytes)) metadata[entry.key()] = entry.value();
  }
  return metadata;
}

}  // namespace simaqat::onnx_format
