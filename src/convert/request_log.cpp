#include "convert/request_log.hpp"

namespace rbee {
namespace {

std::string first_spelling(std::string_view spellings) {
  return std::string(spellings.substr(0, spellings.find('|')));
}

}  // namespace

void NotingCheckpoint::note(const Key& key, const KeyValue& value) const {
  if (!key.gguf.empty()) notes_[first_spelling(key.gguf)] = value;
}

std::int64_t NotingCheckpoint::integer_note(const std::string& key) const {
  const auto at = notes_.find(key);
  const auto* value = at == notes_.end() ? nullptr : std::get_if<std::int64_t>(&at->second);
  return value == nullptr ? 0 : *value;
}

double NotingCheckpoint::real_note(const std::string& key) const {
  const auto at = notes_.find(key);
  const auto* value = at == notes_.end() ? nullptr : std::get_if<double>(&at->second);
  return value == nullptr ? 0 : *value;
}

void RequestLog::asked(const TensorRequest& request) {
  requests_.push_back({request.gguf_name(), request.layer, &request.tensor, request.rows,
                       request.cols, request.stored, request.heads, request.expert});
}

}  // namespace rbee
