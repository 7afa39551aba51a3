// links: rbee_tokenizer
// The first byte says how long a text follows it; the rest is read as a GGUF file, and the text
// encoded with the tokenizer of its metadata.
#include <span>

#include "base/load_error.hpp"
#include "base/log.hpp"
#include "checkpoint/gguf_file.hpp"
#include "tokenizer/gguf_tokenizer.hpp"
#include "tokenizer_round_trip.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool kQuiet = [] {
    rbee::log::configure(rbee::log::Level::off, rbee::log::Style::text);
    return true;
  }();
  if (size == 0 || !kQuiet) return 0;
  const std::size_t length = std::min<std::size_t>(data[0], size - 1);
  const std::string_view text(reinterpret_cast<const char*>(data + 1), length);
  const auto file = std::as_bytes(std::span(data, size).subspan(1 + length));
  try {
    const auto gguf = rbee::read_gguf("input.gguf", file);
    rbee::fuzz::round_trip(rbee::read_gguf_tokenizer(gguf.metadata), text);
  } catch (const rbee::LoadError&) {
  }
  return 0;
}
