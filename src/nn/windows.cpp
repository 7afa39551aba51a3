#include "nn/windows.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "checkpoint/describe.hpp"
#include "nn/config_values.hpp"

namespace rbee::nn {
namespace {

constexpr Key kWindow{"sliding_window", "attention.sliding_window"};
constexpr Key kLayerTypes{"layer_types", "attention.sliding_window_pattern"};

void expect_length(const Checkpoint& checkpoint, std::size_t found, int layers) {
  if (found == static_cast<std::size_t>(layers)) return;
  bad_value(checkpoint, kLayerTypes, fmt::format("one element for each of the {} layers", layers),
            std::to_string(found));
}

// layer_types of config.json, 1 for a local layer; empty when there is none.
std::vector<std::int64_t> read_layer_types(const Checkpoint& checkpoint, int layers) {
  const Json& config = *checkpoint.config();
  const auto list = config.find("layer_types");
  if (list == config.end() || list->is_null()) return {};
  expect_length(checkpoint, list->is_array() ? list->size() : 0, layers);
  std::vector<std::int64_t> local;
  for (const Json& type : *list) {
    if (type != "sliding_attention" && type != "full_attention") {
      bad_value(checkpoint, kLayerTypes, "sliding_attention or full_attention",
                in_quotes(type.is_string() ? type.get<std::string>() : type.type_name()));
    }
    local.push_back(type == "sliding_attention" ? 1 : 0);
  }
  return local;
}

// The same of GGUF, where a single number n stands for n - 1 local layers before each full one.
std::vector<std::int64_t> read_pattern(const Checkpoint& checkpoint, int layers) {
  auto pattern = checkpoint.integers(kLayerTypes);
  if (!pattern) return {};
  if (pattern->size() == 1) {
    const int period = count(checkpoint, kLayerTypes, kMaxExtent);
    pattern->clear();
    for (int i = 0; i < layers; ++i) pattern->push_back(i % period < period - 1 ? 1 : 0);
  }
  expect_length(checkpoint, pattern->size(), layers);
  return *pattern;
}

}  // namespace

int read_window(const Checkpoint& checkpoint, int absent) {
  const auto value = checkpoint.integer(kWindow);
  if (is_null(checkpoint, kWindow)) return 0;
  if (checkpoint.format() == Format::gguf && value == 0) return 0;  // how converters write null
  if (!value) {
    if (absent != 0) checkpoint.note(kWindow, std::int64_t{absent});
    return absent;
  }
  return count(checkpoint, kWindow, kMaxExtent);
}

std::vector<int> layer_windows(const Checkpoint& checkpoint, int layers, int width,
                               FunctionRef<bool(int layer)> is_local) {
  const std::vector<std::int64_t> named = checkpoint.format() == Format::gguf
                                              ? read_pattern(checkpoint, layers)
                                              : read_layer_types(checkpoint, layers);
  std::vector<int> windows;
  std::vector<std::int64_t> locals;
  for (int i = 0; i < layers; ++i) {
    const bool local = named.empty() ? is_local(i) : named[static_cast<std::size_t>(i)] != 0;
    windows.push_back(local ? width : 0);
    locals.push_back(local ? 1 : 0);
  }
  if (width != 0) checkpoint.note(kLayerTypes, locals);
  return windows;
}

std::vector<int> optional_windows(const Checkpoint& checkpoint, int layers) {
  constexpr Key kUse{"use_sliding_window", ""};
  constexpr Key kFirst{"max_window_layers", ""};
  constexpr int kDefaultWidth = 4096, kDefaultFirst = 28;
  const bool gguf = checkpoint.format() == Format::gguf;
  const bool use = gguf || checkpoint.boolean(kUse).value_or(false);
  const int width = use ? read_window(checkpoint, gguf ? 0 : kDefaultWidth) : 0;
  const std::int64_t first = gguf ? 0 : checkpoint.integer(kFirst).value_or(kDefaultFirst);
  return layer_windows(checkpoint, layers, width, [&](int i) { return i >= first; });
}

}  // namespace rbee::nn
