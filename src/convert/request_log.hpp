// What a family asks a checkpoint for while it is built: its keys, with the values they are taken
// for, and its tensors. As a family names both in the spellings of either format, this is all that
// a converter needs to know of most families.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "model/loader.hpp"

namespace rbee {

// Another checkpoint, and a note of every key that is read from it.
class NotingCheckpoint final : public Checkpoint {
 public:
  explicit NotingCheckpoint(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  Format format() const override { return checkpoint_.format(); }
  const std::filesystem::path& path() const override { return checkpoint_.path(); }
  const std::string& architecture() const override { return checkpoint_.architecture(); }
  const TensorInfo* find(std::string_view name) const override { return checkpoint_.find(name); }
  std::span<const TensorInfo> tensors() const override { return checkpoint_.tensors(); }
  std::span<const OpaqueTensor> opaque_tensors() const override {
    return checkpoint_.opaque_tensors();
  }
  const GgufMetadata* gguf() const override { return checkpoint_.gguf(); }
  const Json* config() const override { return checkpoint_.config(); }
  void note(const Key& key, const KeyValue& value) const override;

  // By the first GGUF spelling, without the architecture; keys that GGUF does not have are left
  // out.
  using Notes = std::map<std::string, KeyValue>;
  const Notes& notes() const { return notes_; }
  // An integer that was read, or 0.
  std::int64_t integer_note(const std::string& key) const;
  double real_note(const std::string& key) const;

 private:
  const Checkpoint& checkpoint_;
  mutable Notes notes_;
};

// A TensorRequest in own memory.
struct LoggedRequest {
  std::string gguf;  // TensorRequest::gguf_name
  int layer = -1;
  const TensorInfo* tensor = nullptr;
  int rows = 0, cols = 0;
  Stored stored{};
  HeadRows heads{};
  int expert = -1;
};

class RequestLog final : public LoadObserver {
 public:
  void asked(const TensorRequest& request) override;
  const std::vector<LoggedRequest>& requests() const { return requests_; }

 private:
  std::vector<LoggedRequest> requests_;
};

}  // namespace rbee
