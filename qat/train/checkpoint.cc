#include "qat/train/checkpoint.h"

#include <cstring>
#include <string_view>
#include <vector>

#include "qat/base/file.h"
#include "qat/base/hash.h"
#include "qat/train/checkpoint.pb.h"

namespace simaqat {
namespace {

// The file: this mark, the header's length in 8 bytes, the header, the tensors' data one after
// the other, and the hash of all that in 32 digits.
constexpr std::string_view kMark = "simaqat checkpoint 1\n";
constexpr size_t kHashDigits = 32;
constexpr char kBestPrefix[] = "best/";

class HashedFile {
 public:
  explicit HashedFile(const std::string& path) : file_(path) {}
  void write(std::string_view bytes) {
    hasher_.update(bytes);
    file_.write(bytes);
  }
  void commit() {
    file_.write(hasher_.hex());
    file_.commit();
  }

 private:
  AtomicFile file_;
  Hasher hasher_;
};

std::string_view bytesOf(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.rawData()), tensor.bytes()};
}

}  // namespace

void writeCheckpoint(const std::string& path, const Checkpoint& checkpoint) {
  proto::CheckpointHeader header;
  header.set_model_hash(checkpoint.model_hash);
  header.set_loss_hash(checkpoint.loss_hash);
  header.set_teacher_hash(checkpoint.teacher_hash);
  header.set_manifest_hash(checkpoint.manifest_hash);
  header.set_options_hash(checkpoint.options_hash);
  for (const auto& [place, hash] : checkpoint.data_hashes) {
    proto::DataHash* entry = header.add_data_hashes();
    entry->set_split(place.first);
    entry->set_field(place.second);
    entry->set_hash(hash);
  }
  header.set_step(checkpoint.step);
  header.set_epoch(checkpoint.epoch);
  header.set_batch(checkpoint.batch);
  header.set_skipped_steps(checkpoint.skipped_steps);
  header.set_has_best(checkpoint.best_metric.has_value());
  header.set_best_metric(checkpoint.best_metric.value_or(0));
  std::vector<const Tensor*> tensors;
  const auto add = [&](const std::string& prefix, const std::map<std::string, Tensor>& variables) {
    for (const auto& [name, tensor] : variables) {
      proto::CheckpointTensor* entry = header.add_tensors();
      entry->set_name(prefix + name);
      entry->set_element_type(static_cast<int>(tensor.type()));
      for (int64_t dim : tensor.dims()) entry->add_dims(dim);
      tensors.push_back(&tensor);
    }
  };
  add("", checkpoint.variables);
  add(kBestPrefix, checkpoint.best_variables);

  const std::string head = header.SerializeAsString();
  const uint64_t length = head.size();
  HashedFile file(path);
  file.write(kMark);
  file.write({reinterpret_cast<const char*>(&length), sizeof(length)});
  file.write(head);
  for (const Tensor* tensor : tensors) file.write(bytesOf(*tensor));
  file.commit();
}

Checkpoint readCheckpoint(const std::string& path) {
  const std::string bytes = readFile(path);
  std::string_view rest = bytes;
  if (rest.substr(0, kMark.size()) != kMark) throw inputError("{}: is not a checkpoint", path);
  const size_t head_at = kMark.size() + sizeof(uint64_t);
  const bool whole =
      bytes.size() >= head_at + kHashDigits &&
      hashHex(rest.substr(0, rest.size() - kHashDigits)) == rest.substr(rest.size() - kHashDigits);
  if (!whole) throw inputError("{}: the checkpoint is truncated or damaged", path);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data() + kMark.size(), sizeof(length));
  rest = rest.substr(head_at, rest.size() - head_at - kHashDigits);
  proto::CheckpointHeader header;
  if (length > rest.size() || !header.ParseFromArray(rest.data(), static_cast<int>(length))) {
    throw inputError("{}: the checkpoint's header is damaged", path);
  }
  rest.remove_prefix(length);
  Checkpoint checkpoint;
  checkpoint.model_hash = header.model_hash();
  checkpoint.loss_hash = header.loss_hash();
  checkpoint.teacher_hash = header.teacher_hash();
  checkpoint.manifest_hash = header.manifest_hash();
  checkpoint.options_hash = header.options_hash();
  for (const proto::DataHash& entry : header.data_hashes()) {
    checkpoint.data_hashes[{entry.split(), entry.field()}] = entry.hash();
  }
  checkpoint.step = header.step();
  checkpoint.epoch = header.epoch();
  checkpoint.batch = header.batch();
  checkpoint.skipped_steps = header.skipped_steps();
  if (header.has_best()) checkpoint.best_metric = header.best_metric();
  for (const proto::CheckpointTensor& entry : header.tensors()) {
    const std::vector<int64_t> dims(entry.dims().begin(), entry.dims().end());
    const auto type = static_cast<ElementType>(entry.element_type());
    const size_t size = static_cast<size_t>(elementCount(dims)) * elementSize(type);
    if (size > rest.size()) throw inputError("{}: the checkpoint lacks '{}'", path, entry.name());
    Tensor tensor(type, dims);
    std::memcpy(tensor.mutableRawData(), rest.data(), size);
    rest.remove_prefix(size);
    const bool best = header.has_best() && entry.name().rfind(kBestPrefix, 0) == 0;
    if (best) {
      checkpoint.best_variables[entry.name().substr(std::strlen(kBestPrefix))] = std::move(tensor);
    } else {
      checkpoint.variables[entry.name()] = std::move(tensor);
    }
  }
  return checkpoint;
}

}  // namespace simaqat
