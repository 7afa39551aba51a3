// links: rbee_tokenizer
// Reads the input up to its first NUL byte as tiktoken.model and encodes what follows with it.
#include "base/load_error.hpp"
#include "tokenizer/ranked_bytes.hpp"
#include "tokenizer_round_trip.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto [vocabulary, text] = rbee::fuzz::split_at_nul(data, size);
  try {
    rbee::fuzz::round_trip(rbee::parse_tiktoken_model(vocabulary, "tiktoken.model"), text);
  } catch (const rbee::LoadError&) {
  }
  return 0;
}
