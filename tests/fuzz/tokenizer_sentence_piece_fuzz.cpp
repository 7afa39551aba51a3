// links: rbee_tokenizer
// The first byte says how long a text follows it; the rest is read as tokenizer.model, and the text
// encoded with it.
#include "base/load_error.hpp"
#include "tokenizer/sentence_piece_model.hpp"
#include "tokenizer_round_trip.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::size_t length = std::min<std::size_t>(data[0], input.size());
  try {
    rbee::fuzz::round_trip(
        rbee::parse_sentence_piece_model(input.substr(length), "tokenizer.model"),
        input.substr(0, length));
  } catch (const rbee::LoadError&) {
  }
  return 0;
}
