// links: rbee_checkpoint
// Opens the input as a GGUF file and reads every key in every way and decodes every tensor.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/load_error.hpp"
#include "checkpoint/dequantize.hpp"
#include "checkpoint/gguf_file.hpp"

namespace {

using rbee::GgufMetadata;

template <class T>
void read_all(const GgufMetadata& metadata,
              std::optional<T> (GgufMetadata::*accessor)(std::string_view) const) {
  for (const rbee::GgufEntry& entry : metadata.entries()) {
    try {
      (metadata.*accessor)(entry.key);
    } catch (const rbee::LoadError&) {
    }
  }
}

unsigned sum(std::span<const std::byte> bytes) {
  unsigned total = 0;
  for (const std::byte b : bytes) total += static_cast<unsigned>(b);
  return total;
}

void decode(const rbee::GgufTensor& tensor) {
  if (!tensor.type->dtype) return;
  const rbee::DTypeInfo& type = rbee::info(*tensor.type->dtype);
  std::vector<float> values(tensor.bytes.size() / type.block_bytes *
                            static_cast<std::size_t>(type.block));
  rbee::dequantize_row(*tensor.type->dtype, tensor.bytes, values);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string file = "input.gguf";
  try {
    const auto gguf = rbee::read_gguf(file, std::as_bytes(std::span(data, size)));
    read_all(gguf.metadata, &GgufMetadata::integer);
    read_all(gguf.metadata, &GgufMetadata::real);
    read_all(gguf.metadata, &GgufMetadata::boolean);
    read_all(gguf.metadata, &GgufMetadata::string);
    read_all(gguf.metadata, &GgufMetadata::integers);
    read_all(gguf.metadata, &GgufMetadata::floats);
    read_all(gguf.metadata, &GgufMetadata::strings);
    volatile unsigned total = 0;
    for (const auto& tensor : gguf.tensors) {
      total = total + sum(tensor.bytes);
      decode(tensor);
    }
  } catch (const rbee::LoadError&) {
  }
  return 0;
}
