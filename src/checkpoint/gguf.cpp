#include "checkpoint/gguf.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "base/load_error.hpp"
#include "checkpoint/describe.hpp"

namespace rbee {
namespace {

struct TypeInfo {
  std::string_view name;
  std::size_t size;
};

constexpr std::array kTypes{
    TypeInfo{"u8", 1},     TypeInfo{"i8", 1},    TypeInfo{"u16", 2}, TypeInfo{"i16", 2},
    TypeInfo{"u32", 4},    TypeInfo{"i32", 4},   TypeInfo{"f32", 4}, TypeInfo{"bool", 1},
    TypeInfo{"string", 0}, TypeInfo{"array", 0}, TypeInfo{"u64", 8}, TypeInfo{"i64", 8},
    TypeInfo{"f64", 8},
};

template <class T>
T load(const std::byte* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// Nullopt when the element is no integer or beyond the range of i64.
std::optional<std::int64_t> read_integer(GgufType type, const std::byte* at) noexcept {
  switch (type) {
    case GgufType::u8:
      return load<std::uint8_t>(at);
    case GgufType::i8:
      return load<std::int8_t>(at);
    case GgufType::u16:
      return load<std::uint16_t>(at);
    case GgufType::i16:
      return load<std::int16_t>(at);
    case GgufType::u32:
      return load<std::uint32_t>(at);
    case GgufType::i32:
      return load<std::int32_t>(at);
    case GgufType::i64:
      return load<std::int64_t>(at);
    case GgufType::u64: {
      const auto value = load<std::uint64_t>(at);
      if (value > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
      return static_cast<std::int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> read_real(GgufType type, const std::byte* at) noexcept {
  if (type == GgufType::f32) return load<float>(at);
  if (type == GgufType::f64) return load<double>(at);
  if (type == GgufType::u64) return static_cast<double>(load<std::uint64_t>(at));
  const auto integer = read_integer(type, at);
  if (!integer) return std::nullopt;
  return static_cast<double>(*integer);
}

std::string_view read_string(const std::byte* at) noexcept {
  return {reinterpret_cast<const char*>(at) + sizeof(std::uint64_t), load<std::uint64_t>(at)};
}

}  // namespace

std::string_view name(GgufType type) noexcept {
  const auto index = static_cast<std::size_t>(type);
  return index < kTypes.size() ? kTypes[index].name : "unknown";
}

std::size_t size_of(GgufType type) noexcept {
  const auto index = static_cast<std::size_t>(type);
  return index < kTypes.size() ? kTypes[index].size : 0;
}

GgufMetadata::GgufMetadata(std::string file, std::vector<GgufEntry> entries)
    : file_(std::move(file)), entries_(std::move(entries)), by_key_(entries_.size()) {
  std::iota(by_key_.begin(), by_key_.end(), 0u);
  const auto key = [this](std::uint32_t i) { return entries_[i].key; };
  std::ranges::sort(by_key_, {}, key);
  const auto twice = std::ranges::adjacent_find(by_key_, {}, key);
  if (twice != by_key_.end()) {
    throw LoadError(file_, "key " + in_quotes(key(*twice)), "one value", "the key twice");
  }
}

const GgufEntry* GgufMetadata::find(std::string_view key) const noexcept {
  const auto at = std::ranges::lower_bound(by_key_, key, {},
                                           [this](std::uint32_t i) { return entries_[i].key; });
  if (at == by_key_.end() || entries_[*at].key != key) return nullptr;
  return &entries_[*at];
}

void GgufMetadata::refuse(const GgufEntry& entry, std::string_view expected) const {
  std::string found;
  if (entry.is_array) found = "array of " + std::to_string(entry.count) + " ";
  found += name(entry.element);
  if (!entry.is_array && entry.element == GgufType::u64) {
    found += " " + std::to_string(load<std::uint64_t>(entry.bytes.data()));
  }
  throw LoadError(file_, "key " + in_quotes(entry.key), std::string(expected), found);
}

const GgufEntry* GgufMetadata::find_scalar(std::string_view key, std::string_view expected) const {
  const GgufEntry* entry = find(key);
  if (entry != nullptr && entry->is_array) refuse(*entry, expected);
  return entry;
}

const GgufEntry* GgufMetadata::find_array(std::string_view key, std::string_view expected) const {
  const GgufEntry* entry = find(key);
  if (entry != nullptr && !entry->is_array) refuse(*entry, expected);
  return entry;
}

std::optional<std::int64_t> GgufMetadata::integer(std::string_view key) const {
  constexpr std::string_view kExpected = "an integer below 2^63";
  const GgufEntry* entry = find_scalar(key, kExpected);
  if (entry == nullptr) return std::nullopt;
  const auto value = read_integer(entry->element, entry->bytes.data());
  if (!value) refuse(*entry, kExpected);
  return value;
}

std::optional<double> GgufMetadata::real(std::string_view key) const {
  constexpr std::string_view kExpected = "a number";
  const GgufEntry* entry = find_scalar(key, kExpected);
  if (entry == nullptr) return std::nullopt;
  const auto value = read_real(entry->element, entry->bytes.data());
  if (!value) refuse(*entry, kExpected);
  return value;
}

std::optional<bool> GgufMetadata::boolean(std::string_view key) const {
  const GgufEntry* entry = find_scalar(key, "a bool");
  if (entry == nullptr) return std::nullopt;
  if (entry->element != GgufType::boolean) refuse(*entry, "a bool");
  return entry->bytes[0] != std::byte{0};
}

std::optional<std::string_view> GgufMetadata::string(std::string_view key) const {
  const GgufEntry* entry = find_scalar(key, "a string");
  if (entry == nullptr) return std::nullopt;
  if (entry->element != GgufType::string) refuse(*entry, "a string");
  return read_string(entry->bytes.data());
}

std::optional<std::vector<std::int64_t>> GgufMetadata::integers(std::string_view key) const {
  constexpr std::string_view kExpected = "integers below 2^63";
  const GgufEntry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  const bool booleans = entry->is_array && entry->element == GgufType::boolean;
  const GgufType type = booleans ? GgufType::u8 : entry->element;
  const std::size_t size = size_of(type);
  if (size == 0 || type == GgufType::f32 || type == GgufType::f64) refuse(*entry, kExpected);
  std::vector<std::int64_t> out;
  out.reserve(entry->count);
  for (std::uint64_t i = 0; i < entry->count; ++i) {
    const auto value = read_integer(type, entry->bytes.data() + i * size);
    if (!value) refuse(*entry, kExpected);
    out.push_back(*value);
  }
  return out;
}

std::optional<std::vector<float>> GgufMetadata::floats(std::string_view key) const {
  constexpr std::string_view kExpected = "an array of numbers";
  const GgufEntry* entry = find_array(key, kExpected);
  if (entry == nullptr) return std::nullopt;
  const std::size_t size = size_of(entry->element);
  if (size == 0) refuse(*entry, kExpected);
  std::vector<float> out;
  out.reserve(entry->count);
  for (std::uint64_t i = 0; i < entry->count; ++i) {
    const auto value = read_real(entry->element, entry->bytes.data() + i * size);
    if (!value) refuse(*entry, kExpected);
    out.push_back(static_cast<float>(*value));
  }
  return out;
}

std::optional<std::vector<std::string_view>> GgufMetadata::strings(std::string_view key) const {
  constexpr std::string_view kExpected = "an array of strings";
  const GgufEntry* entry = find_array(key, kExpected);
  if (entry == nullptr) return std::nullopt;
  if (entry->element != GgufType::string) refuse(*entry, kExpected);
  std::vector<std::string_view> out;
  out.reserve(entry->count);
  const std::byte* at = entry->bytes.data();
  for (std::uint64_t i = 0; i < entry->count; ++i) {
    out.push_back(read_string(at));
    at += sizeof(std::uint64_t) + out.back().size();
  }
  return out;
}

}  // namespace rbee
