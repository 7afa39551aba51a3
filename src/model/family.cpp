#include "model/family.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "base/load_error.hpp"
#include "checkpoint/describe.hpp"

namespace rbee {
namespace {

// Names of a family in one format, without the empty places of the array.
std::vector<std::string_view> names_of(const Family& family, Format format) {
  std::vector<std::string_view> names;
  const auto take = [&](std::span<const std::string_view> all) {
    std::copy_if(all.begin(), all.end(), std::back_inserter(names),
                 [](std::string_view name) { return !name.empty(); });
  };
  format == Format::gguf ? take(family.gguf) : take(family.hf);
  return names;
}

bool has_name(const Family& family, Format format, std::string_view name) {
  const auto names = names_of(family, format);
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Edits that turn a into b (Levenshtein, 1966).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] =
          std::min({above + 1, row[j] + 1, diagonal + static_cast<std::size_t>(a[i] != b[j])});
      diagonal = above;
    }
  }
  return row.back();
}

std::string_view nearest(std::string_view name, std::span<const std::string_view> known) {
  constexpr std::size_t kLongest = 256;  // a name from a file, however long it claims to be
  name = name.substr(0, kLongest);
  return *std::min_element(known.begin(), known.end(), [&](std::string_view a, std::string_view b) {
    return edit_distance(name, a) < edit_distance(name, b);
  });
}

[[noreturn]] void unknown(const Checkpoint& checkpoint, const std::string& name,
                          std::span<const Family* const> families) {
  const Format format = checkpoint.format();
  std::vector<std::string_view> known;
  for (const Family* family : families) {
    for (const std::string_view one : names_of(*family, format)) known.push_back(one);
  }
  std::sort(known.begin(), known.end());
  std::string found = in_quotes(name);
  if (!known.empty()) found += fmt::format(" (nearest: {})", nearest(name, known));
  throw LoadError(checkpoint.path().string(),
                  format == Format::gguf ? "key 'general.architecture'" : "key 'architectures'",
                  fmt::format("one of {}", fmt::join(known, ", ")), found);
}

}  // namespace

const Family& find_family(const Checkpoint& checkpoint, std::span<const Family* const> families) {
  constexpr Key kModelType{"model_type", ""};
  const Format format = checkpoint.format();
  std::vector<std::string> names{checkpoint.architecture()};
  if (auto type = checkpoint.string(kModelType)) names.push_back(std::move(*type));
  for (const std::string& name : names) {
    std::string_view excluded;
    for (const Family* family : families) {
      if (!has_name(*family, format, name)) continue;
      if (family->claims == nullptr || family->claims(checkpoint)) return *family;
      excluded = family->excludes;
    }
    if (!excluded.empty()) {
      throw LoadError(checkpoint.path().string(), "architecture",
                      fmt::format("a {} model of a supported kind", in_quotes(name)),
                      std::string(excluded));
    }
  }
  unknown(checkpoint, names.front(), families);
}

}  // namespace rbee
