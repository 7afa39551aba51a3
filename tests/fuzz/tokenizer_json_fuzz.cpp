// links: rbee_tokenizer
// Reads the input up to its first NUL byte as tokenizer.json and encodes what follows with it.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "base/load_error.hpp"
#include "tokenizer/bpe_tokenizer.hpp"
#include "tokenizer/tokenizer_json.hpp"
#include "tokenizer/utf8.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\0'), size);
  const std::string_view text = input.substr(std::min(end + 1, size));
  try {
    const auto tokenizer = std::make_shared<const rbee::BpeTokenizer>(
        rbee::parse_tokenizer_json(input.substr(0, end), "tokenizer.json"));
    for (const bool parse_special : {true, false}) {
      const auto ids = tokenizer->encode(text, {.parse_special = parse_special});
      for (const rbee::TokenId id : ids) require(id >= 0 && id < tokenizer->vocab_size());
      const std::string decoded = tokenizer->decode(ids, !parse_special);
      require(rbee::is_valid_utf8(decoded));
      rbee::Detokenizer detokenizer(tokenizer, !parse_special);
      std::string streamed;
      for (const rbee::TokenId id : ids) streamed += detokenizer.push(id);
      require(streamed + detokenizer.finish() == decoded);
    }
  } catch (const rbee::LoadError&) {
  }
  return 0;
}
