// links: rbee_tokenizer
// Reads the input up to its first NUL byte as tekken.json and encodes what follows with it.
#include "base/load_error.hpp"
#include "tokenizer/ranked_bytes.hpp"
#include "tokenizer_round_trip.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto [vocabulary, text] = rbee::fuzz::split_at_nul(data, size);
  try {
    rbee::fuzz::round_trip(rbee::parse_tekken(vocabulary, "tekken.json"), text);
  } catch (const rbee::LoadError&) {
  }
  return 0;
}
