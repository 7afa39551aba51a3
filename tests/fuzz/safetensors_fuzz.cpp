// links: rbee_checkpoint
// Reads the input as a safetensors file, as a header with some data after it, as an index and as a
// config.json.
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "base/load_error.hpp"
#include "checkpoint/hf_config.hpp"
#include "checkpoint/safetensors_file.hpp"

namespace {

template <class Read>
void expect_value_or_load_error(Read read) {
  try {
    read();
  } catch (const rbee::LoadError&) {
  }
}

void read_file(std::span<const std::byte> bytes) {
  volatile unsigned total = 0;
  for (const auto& tensor : rbee::read_safetensors("input.safetensors", bytes)) {
    for (const std::byte b : tensor.bytes) total = total + static_cast<unsigned>(b);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::span bytes = std::as_bytes(std::span(data, size));
  expect_value_or_load_error([&] { read_file(bytes); });
  expect_value_or_load_error([&] {
    const std::uint64_t length = size;
    std::string file(sizeof length, '\0');
    std::memcpy(file.data(), &length, sizeof length);
    file += text;
    file.resize(file.size() + 64);
    read_file(std::as_bytes(std::span(file)));
  });
  expect_value_or_load_error([&] { rbee::read_safetensors_index("index.json", bytes); });
  expect_value_or_load_error([&] {
    const rbee::Json config = rbee::parse_hf_config("config.json", text);
    rbee::find_hf_value(config, "rope_scaling.factor");
    rbee::hf_architecture("config.json", config);
  });
  return 0;
}
