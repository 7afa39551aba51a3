#include "checkpoint/hf_config.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/load_error.hpp"
#include "base/mapped_file.hpp"

namespace rbee {
namespace {

// Real ones have 10 KB and a hundred members. The limit on members bounds the time too: an object
// that keeps its order is searched from the front for each member added.
constexpr std::size_t kMaxBytes = 8u << 20;
constexpr std::size_t kMaxMembers = 20000;

// Copies text with each bare Infinity, -Infinity and NaN put in quotes.
class NumberQuoter {
 public:
  explicit NumberQuoter(std::string_view text) : text_(text) {}

  std::string run() {
    while (at_ < text_.size()) {
      if (text_[at_] == '"') {
        copy_string();
      } else if (!quote("-Infinity") && !quote("Infinity") && !quote("NaN")) {
        members_ += text_[at_] == ':' ? 1 : 0;
        out_ += text_[at_++];
      }
    }
    return std::move(out_);
  }

  std::size_t members() const { return members_; }

 private:
  void copy_string() {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
    end = std::min(end + 1, text_.size());
    out_ += text_.substr(at_, end - at_);
    at_ = end;
  }

  bool quote(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    out_ += '"';
    out_ += word;
    out_ += '"';
    at_ += word.size();
    return true;
  }

  std::string_view text_;
  std::string out_;
  std::size_t at_ = 0;
  std::size_t members_ = 0;
};

// transformers 5 writes {"__float__": "Infinity"} for what JSON has no number for.
void unwrap_number_words(Json& value) {
  if (!value.is_structured()) return;
  for (Json& member : value) unwrap_number_words(member);
  if (!value.is_object() || value.size() != 1) return;
  const auto word = value.find("__float__");
  if (word != value.end() && word->is_string()) value = Json(word->get<std::string>());
}

}  // namespace

std::string quote_number_words(std::string_view text) { return NumberQuoter(text).run(); }

Json parse_hf_config(const std::string& file, std::string_view text) {
  if (text.size() > kMaxBytes) {
    throw LoadError(file, "size", "at most " + std::to_string(kMaxBytes) + " bytes",
                    std::to_string(text.size()));
  }
  NumberQuoter quoter(text);
  const std::string quoted_text = quoter.run();
  if (quoter.members() > kMaxMembers) {
    throw LoadError(file, "members", "at most " + std::to_string(kMaxMembers),
                    std::to_string(quoter.members()));
  }
  Json config;
  try {
    config = parse_json(quoted_text, {.max_members = kMaxMembers});
  } catch (const JsonError& e) {
    throw LoadError(file, "JSON", "a valid text", e.what());
  }
  if (!config.is_object()) throw LoadError(file, "JSON", "an object", config.type_name());
  for (Json& member : config) unwrap_number_words(member);
  if (const Json* inner = find_hf_value(config, "text_config"); inner && inner->is_object()) {
    const Json text_config = *inner;
    for (const auto& [key, value] : text_config.items()) {
      if (!value.is_null()) config[key] = value;
    }
  }
  // Where layers are rotated in two ways, what full attention has counts as the model's own.
  if (const Json* full = find_hf_value(config, "rope_parameters.full_attention");
      full != nullptr && full->is_object()) {
    const Json full_attention = *full;
    config["rope_parameters"].update(full_attention);
  }
  return config;
}

Json read_hf_config(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return parse_hf_config(path.string(),
                         {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::string hf_architecture(const std::string& file, const Json& config) {
  if (const Json* list = find_hf_value(config, "architectures");
      list != nullptr && list->is_array() && !list->empty() && list->front().is_string()) {
    return list->front().get<std::string>();
  }
  const Json* type = find_hf_value(config, "model_type");
  if (type == nullptr || !type->is_string()) {
    throw LoadError(file, "architectures", "an array of names, or a model_type", "neither");
  }
  return type->get<std::string>();
}

const Json* find_hf_value(const Json& config, std::string_view path) {
  const Json* value = &config;
  while (true) {
    const std::size_t dot = path.find('.');
    if (!value->is_object()) return nullptr;
    const auto member = value->find(std::string(path.substr(0, dot)));
    if (member == value->end() || member->is_null()) return nullptr;
    value = &*member;
    if (dot == std::string_view::npos) return value;
    path.remove_prefix(dot + 1);
  }
}

}  // namespace rbee
