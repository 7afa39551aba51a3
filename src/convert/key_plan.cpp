#include "convert/key_plan.hpp"

#include <algorithm>
#include <utility>

#include "convert/derived_keys.hpp"
#include "nn/rope.hpp"

namespace rbee {
namespace {

constexpr std::string_view kEps = "attention.layer_norm_rms_epsilon";

bool is_layer_norm(const std::vector<PlannedTensor>& tensors, const std::string& architecture) {
  if (architecture == "phimoe") return false;  // readers expect the other key
  return architecture == "olmo" || std::ranges::any_of(tensors, [](const PlannedTensor& tensor) {
           return tensor.name == "output_norm.bias";
         });
}

// Which layers of an architecture have a window where the file does not say it.
bool is_local(const std::string& architecture, std::size_t layer) {
  if (architecture == "gemma2" || architecture == "gpt-oss") return layer % 2 == 0;
  if (architecture == "gemma3") return (layer + 1) % 6 != 0;
  if (architecture == "olmo2") return layer % 4 != 3;
  return true;
}

void set_windows(const std::string& architecture, const std::vector<std::int64_t>& locals,
                 GgufKeys& keys) {
  std::vector<bool> pattern;
  bool usual = true;
  for (std::size_t i = 0; i < locals.size(); ++i) {
    pattern.push_back(locals[i] != 0);
    usual &= pattern.back() == is_local(architecture, i);
  }
  if (!usual) keys.set(architecture + ".attention.sliding_window_pattern", pattern);
}

// What is not written as it was read.
bool is_left_out(const std::string& key, const KeyValue& value) {
  if (key.starts_with("general.") || key.starts_with("tokenizer.")) return true;
  if (key.starts_with("rope.scaling.") || key == "nextn_predict_layers") return true;
  if (key == "attention.sliding_window_pattern") return true;
  const auto* integer = std::get_if<std::int64_t>(&value);
  if (integer != nullptr && *integer == 0) return key != "leading_dense_block_count";
  const auto* real = std::get_if<double>(&value);
  return real != nullptr && *real == 0;
}

void set_notes(const NotingCheckpoint& checkpoint, const std::string& prefix, bool layer_norm,
               GgufKeys& keys) {
  for (const auto& [key, value] : checkpoint.notes()) {
    if (is_left_out(key, value)) continue;
    const std::string name =
        prefix + (layer_norm && key == kEps ? "attention.layer_norm_epsilon" : key);
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      keys.set(name, static_cast<std::uint32_t>(*integer));
    } else if (const auto* real = std::get_if<double>(&value)) {
      keys.set(name, static_cast<float>(*real));
    } else if (const auto* boolean = std::get_if<bool>(&value)) {
      keys.set(name, *boolean);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      keys.set(name, *text);
    } else if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value)) {
      const std::vector<std::int32_t> numbers(list->begin(), list->end());
      keys.set(name, std::span<const std::int32_t>(numbers));
    }
  }
}

void add_factors(const char* name, std::vector<float> values, std::vector<PlannedTensor>& tensors) {
  if (values.empty()) return;
  const auto size = static_cast<std::int64_t>(values.size());
  tensors.push_back(
      {name, {size}, computed_rows([values = std::move(values)] { return values; }, size)});
}

void set_rope(const NotingCheckpoint& checkpoint, const std::string& prefix,
              std::vector<PlannedTensor>& tensors, GgufKeys& keys) {
  const double theta = checkpoint.real_note("rope.freq_base");
  const auto dims = static_cast<int>(checkpoint.integer_note("rope.dimension_count"));
  if (theta == 0 || dims == 0) return;
  const nn::GgufRope rope = nn::gguf_rope(
      checkpoint, theta, dims, static_cast<int>(checkpoint.integer_note("context_length")));
  add_factors("rope_freqs.weight", rope.divisors, tensors);
  add_factors("rope_factors_long.weight", rope.long_factors, tensors);
  add_factors("rope_factors_short.weight", rope.short_factors, tensors);
  const auto real = [&](const char* key, double value) {
    if (value != 0) keys.set(prefix + key, static_cast<float>(value));
  };
  if (!rope.type.empty()) {
    keys.set(prefix + "rope.scaling.type", rope.type);
    real("rope.scaling.factor", checkpoint.real_note("rope.scaling.factor"));
  }
  if (rope.original_context != 0) {
    keys.set(prefix + "rope.scaling.original_context_length",
             static_cast<std::uint32_t>(rope.original_context));
  }
  if (rope.type == "yarn") {
    real("rope.scaling.yarn_beta_fast", checkpoint.real_note("rope.scaling.yarn_beta_fast"));
    real("rope.scaling.yarn_beta_slow", checkpoint.real_note("rope.scaling.yarn_beta_slow"));
    real("rope.scaling.yarn_log_multiplier", rope.log_multiplier);
  }
  if (rope.attention_factor != 1 || !rope.long_factors.empty()) {
    real("rope.scaling.attn_factor", rope.attention_factor);
  }
}

}  // namespace

void plan_keys(const NotingCheckpoint& checkpoint, const std::string& architecture,
               std::vector<PlannedTensor>& tensors, GgufKeys& keys) {
  const std::string prefix = architecture + ".";
  set_notes(checkpoint, prefix, is_layer_norm(tensors, architecture), keys);
  const auto locals = checkpoint.notes().find("attention.sliding_window_pattern");
  if (locals != checkpoint.notes().end()) {
    set_windows(architecture, std::get<std::vector<std::int64_t>>(locals->second), keys);
  }
  set_rope(checkpoint, prefix, tensors, keys);
  add_derived_keys(checkpoint, architecture, tensors, keys);
}

}  // namespace rbee
