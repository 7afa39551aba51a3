#include "tokenizer/testing/goldens.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "tokenizer/gguf_pre_tokenizers.hpp"
#include "tokenizer/pre_tokenizer.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee::testing {
namespace {

constexpr int kShown = 5;

std::string file_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(fmt::format("cannot read {}", path.string()));
  return {std::istreambuf_iterator<char>(file), {}};
}

std::uint32_t crc32(std::string_view bytes) {
  static const auto kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0u);
      table[i] = value;
    }
    return table;
  }();
  std::uint32_t value = 0xFFFFFFFFu;
  for (const char byte : bytes) {
    value = kTable[(value ^ static_cast<unsigned char>(byte)) & 0xFF] ^ value >> 8;
  }
  return ~value;
}

std::uint32_t crc32_of(const std::vector<TokenId>& ids) {
  std::string bytes;
  bytes.reserve(ids.size() * 4);
  for (const TokenId id : ids) {
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(id >> shift));
  }
  return crc32(bytes);
}

std::string shown(std::string_view text) {
  return Json(repair_utf8(text.substr(0, 120))).dump(-1, ' ', true);
}

void fail(GoldenReport& report, const std::string& what, std::string_view text,
          const std::string& expected, const std::string& found) {
  if (++report.failures <= kShown) {
    report.first_failures +=
        fmt::format("{} of {}:\n  expected {}\n  found    {}\n", what, shown(text),
                    expected.substr(0, 300), found.substr(0, 300));
  }
}

void compare_ids(GoldenReport& report, const std::string& what, std::string_view text,
                 const std::vector<TokenId>& expected, const std::vector<TokenId>& found) {
  if (expected != found) {
    fail(report, what, text, fmt::format("{}", expected), fmt::format("{}", found));
  }
}

// All ids one by one; every piece must be whole characters.
std::string streamed(const Tokenizer& tokenizer, const std::vector<TokenId>& ids,
                     GoldenReport& report, std::string_view text) {
  // The detokenizer shares ownership; here the caller owns.
  const std::shared_ptr<const Tokenizer> borrowed(std::shared_ptr<void>(), &tokenizer);
  Detokenizer detokenizer(borrowed, false);
  std::string all;
  for (const TokenId id : ids) {
    const std::string piece = detokenizer.push(id);
    if (!is_valid_utf8(piece)) fail(report, "a piece", text, "whole characters", shown(piece));
    all += piece;
  }
  return all + detokenizer.finish();
}

// One recipe of the hard corpus, as tools/tokenizer_goldens/corpus.py expands it.
std::string expand(const Json& corpus, const Json& recipe) {
  if (recipe.contains("text")) return recipe["text"];
  std::string text;
  if (recipe.contains("repeat")) {
    const std::string unit = recipe["repeat"];
    while (text.size() < recipe["bytes"].get<std::size_t>()) text += unit;
  } else if (recipe.contains("range")) {
    const std::string pattern = recipe["pattern"];
    const auto last = recipe["range"][1].get<char32_t>();
    for (auto code = recipe["range"][0].get<char32_t>(); code <= last; ++code) {
      for (const char c : pattern) {
        if (c == '%') {
          append_utf8(text, code);
        } else {
          text += c;
        }
      }
    }
  } else {
    const Json& alphabet = corpus["alphabets"][recipe["random"].get<std::string>()];
    auto state = recipe["seed"].get<std::uint64_t>();
    for (int i = 0; i < recipe["pieces"]; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      text += alphabet[(state >> 33) % alphabet.size()].get_ref<const std::string&>();
    }
  }
  return text;
}

}  // namespace

GoldenReport check_golden(const Tokenizer& tokenizer, const std::filesystem::path& golden) {
  GoldenReport report;
  for (const Json& row : Json::parse(file_text(golden))) {
    ++report.texts;
    const std::string text = row["text"];
    const std::vector<TokenId> plain = row["plain"];
    if (row.contains("ids")) {
      compare_ids(report, "ids", text, row["ids"], tokenizer.encode(text));
    }
    // A reference that puts no special tokens around texts finds none in them either.
    compare_ids(
        report, "plain ids", text, plain,
        tokenizer.encode(text, {.add_special = false, .parse_special = row.contains("ids")}));
    const std::string decoded = row["decoded"];
    const std::string found = tokenizer.decode(plain, false);
    if (found != decoded) fail(report, "decoding", text, shown(decoded), shown(found));
    const std::string stream = streamed(tokenizer, plain, report, text);
    if (stream != found) fail(report, "streaming", text, shown(found), shown(stream));
  }
  return report;
}

GoldenReport check_hard_golden(const Tokenizer& tokenizer, const std::filesystem::path& golden,
                               const std::filesystem::path& corpus_file) {
  GoldenReport report;
  const Json corpus = Json::parse(file_text(corpus_file));
  const Json all = Json::parse(file_text(golden));
  const Json& rows = all["texts"];
  // Only Hugging Face tokenizers finds special tokens in text.
  const bool parse_special = all["library"].get<std::string>().starts_with("tokenizers");
  if (rows.size() != corpus["texts"].size()) {
    fail(report, "number", golden.string(), std::to_string(corpus["texts"].size()),
         std::to_string(rows.size()));
    return report;
  }
  for (std::size_t i = 0; i < rows.size(); i += kHardTextStep) {
    if (rows[i].is_null()) continue;  // the reference gave up
    ++report.texts;
    const std::string text = expand(corpus, corpus["texts"][i]);
    const std::vector<TokenId> ids =
        tokenizer.encode(text, {.add_special = false, .parse_special = parse_special});
    const std::string decoded = tokenizer.decode(ids, false);
    const auto summary = [&](std::size_t count, std::uint32_t checksum,
                             std::uint32_t text_checksum) {
      const std::string decoding =
          rows[i][2].is_null() ? "" : fmt::format(", text {:08x}", text_checksum);
      return fmt::format("{} ids {:08x}{}", count, checksum, decoding);
    };
    const auto expected =
        summary(rows[i][0], rows[i][1], rows[i][2].is_null() ? 0 : rows[i][2].get<std::uint32_t>());
    const auto found = summary(ids.size(), crc32_of(ids), crc32(decoded));
    if (found != expected) {
      fail(report, fmt::format("text {}, {}", i, corpus["texts"][i].dump().substr(0, 60)), text,
           expected, found);
    }
    if (text.size() < 10000 && streamed(tokenizer, ids, report, text) != decoded) {
      fail(report, fmt::format("streaming text {}", i), text, "the same as decoding", "another");
    }
  }
  return report;
}

GoldenReport check_inp_out(const Tokenizer& tokenizer, const std::filesystem::path& inp,
                           const std::filesystem::path& out) {
  constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
  GoldenReport report;
  const std::string all = file_text(inp);
  std::string_view rest = all;
  std::istringstream lines(file_text(out));
  std::string line;
  while (std::getline(lines, line)) {
    ++report.texts;
    const std::size_t end = rest.find(kSeparator);
    const std::string_view text = rest.substr(0, end);
    rest =
        end == std::string_view::npos ? std::string_view() : rest.substr(end + kSeparator.size());
    std::istringstream numbers(line);
    const std::vector<TokenId> ids{std::istream_iterator<TokenId>(numbers), {}};
    compare_ids(report, "ids", text, ids, tokenizer.encode(text, {.add_special = false}));
  }
  return report;
}

GoldenReport check_samples(const Tokenizer& tokenizer, const std::filesystem::path& golden) {
  GoldenReport report;
  const Json fixture = Json::parse(file_text(golden));
  for (const Json& row : fixture["tokenizer_samples"]) {
    ++report.texts;
    const std::string text = row["text"];
    const std::vector<TokenId> ids = row["ids"];
    compare_ids(report, "ids", text, ids, tokenizer.encode(text, {.add_special = false}));
    const std::string decoded = tokenizer.decode(ids);
    if (decoded != text) fail(report, "decoding", text, shown(text), shown(decoded));
  }
  return report;
}

std::vector<std::pair<std::string, GoldenReport>> check_cuts(
    const std::filesystem::path& golden, const std::filesystem::path& corpus_file) {
  std::vector<std::pair<std::string, GoldenReport>> reports;
  const Json corpus = Json::parse(file_text(corpus_file));
  const Json all = Json::parse(file_text(golden));
  for (const Json& cuts : all["cuts"]) {
    for (const std::string name : cuts["names"]) {
      PreTokenizer pre;
      const auto known = find_gguf_pre_tokenizer(name);
      if (known && known->isolates_punctuation) pre.add_punctuation_runs();
      if (known) {
        for (const std::string_view split : known->splits) pre.add_split(split, "table", name);
      }
      GoldenReport report;
      for (std::size_t i = 0; i < all["indices"].size(); ++i) {
        ++report.texts;
        const std::string text =
            expand(corpus, corpus["texts"][all["indices"][i].get<std::size_t>()]);
        Pieces pieces{text, {{0, text.size()}}, true};
        pre.apply(pieces);
        std::vector<TokenId> sizes;
        for (const Pieces::Range range : pieces.ranges) {
          sizes.push_back(static_cast<TokenId>(range.end - range.begin));
        }
        const auto expected = cuts["checksums"][i].get<std::uint32_t>();
        if (text.empty() || crc32_of(sizes) == expected) continue;
        fail(report, name, text, fmt::format("{:08x}", expected), fmt::format("{}", sizes));
      }
      reports.emplace_back(name, std::move(report));
    }
  }
  return reports;
}

}  // namespace rbee::testing
