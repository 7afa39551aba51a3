#include "checkpoint/gguf_file.hpp"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>
#include <utility>

#include "base/load_error.hpp"
#include "checkpoint/byte_reader.hpp"
#include "checkpoint/describe.hpp"

namespace rbee {
namespace {

constexpr std::uint64_t kMaxKeyBytes = 65535;
constexpr std::uint64_t kMaxNameBytes = 63;
constexpr std::uint32_t kMaxDims = 4;
constexpr std::int64_t kDefaultAlignment = 32;
constexpr std::int64_t kMaxAlignment = 1 << 24;
// The fewest bytes that a key with its value, a string and a tensor's description can take.
constexpr std::uint64_t kMinEntryBytes = 8 + 1 + 4 + 1;
constexpr std::uint64_t kMinStringBytes = 8;
constexpr std::uint64_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

struct TensorDescription {
  GgufTensor tensor;
  std::uint64_t offset = 0;  // from the start of the data section
  std::uint64_t size = 0;
};

class Reader {
 public:
  Reader(const std::string& file, std::span<const std::byte> bytes)
      : file_(file), bytes_(bytes), in_(file, bytes) {}

  GgufFile read() {
    check_magic();
    const auto n_tensors = in_.number<std::uint64_t>("tensor count");
    const auto n_entries = in_.number<std::uint64_t>("key count");
    check_count("key count", n_entries, kMinEntryBytes);
    check_count("tensor count", n_tensors, kMinTensorBytes);
    std::vector<GgufEntry> entries;
    for (std::uint64_t i = 0; i < n_entries; ++i) entries.push_back(read_entry(i));
    GgufMetadata metadata(file_, std::move(entries));
    std::vector<TensorDescription> descriptions;
    for (std::uint64_t i = 0; i < n_tensors; ++i) descriptions.push_back(read_tensor(i));
    auto tensors = locate(std::move(descriptions), read_alignment(metadata));
    return {std::move(metadata), std::move(tensors)};
  }

 private:
  void check_magic() {
    const auto magic = in_.take(4, "magic");
    const std::string_view text(reinterpret_cast<const char*>(magic.data()), magic.size());
    if (text != "GGUF") throw LoadError(file_, "magic", "'GGUF'", in_quotes(text));
    const auto version = in_.number<std::uint32_t>("version");
    if (version == 2 || version == 3) return;
    const bool big_endian = version != 0 && (version & 0xffff) == 0;
    throw LoadError(file_, "version", "2 or 3, little-endian",
                    big_endian ? "a big-endian file" : std::to_string(version));
  }

  // A count is believed only as far as the file could hold that many.
  void check_count(std::string_view field, std::uint64_t count, std::uint64_t min_bytes) const {
    const std::uint64_t most = in_.remaining() / min_bytes;
    if (count > most) {
      throw LoadError(file_, std::string(field),
                      "at most " + std::to_string(most) + " in a file of this size",
                      std::to_string(count));
    }
  }

  std::string_view take_text(std::uint64_t max_bytes, const std::string& field) {
    const auto size = in_.number<std::uint64_t>(field);
    if (size == 0 || size > max_bytes) {
      throw LoadError(file_, field, "1 to " + std::to_string(max_bytes) + " bytes",
                      std::to_string(size));
    }
    const auto bytes = in_.take(size, field);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!simdjson::validate_utf8(text.data(), text.size())) {
      throw LoadError(file_, field, "UTF-8", in_quotes(text));
    }
    return text;
  }

  GgufEntry read_entry(std::uint64_t index) {
    GgufEntry entry;
    entry.key = take_text(kMaxKeyBytes, "key " + std::to_string(index));
    const std::string field = "key " + in_quotes(entry.key);
    entry.element = read_type(field);
    if (entry.element == GgufType::array) {
      entry.is_array = true;
      entry.element = read_type(field);
      entry.count = in_.number<std::uint64_t>(field);
      if (entry.element == GgufType::array) {
        throw LoadError(file_, field, "an array of plain values", "an array of arrays");
      }
    }
    entry.bytes = read_elements(entry, field);
    return entry;
  }

  GgufType read_type(const std::string& field) {
    const auto type = in_.number<std::uint32_t>(field);
    if (type > static_cast<std::uint32_t>(GgufType::f64)) {
      throw LoadError(file_, field, "a value type from 0 to 12", std::to_string(type));
    }
    return static_cast<GgufType>(type);
  }

  std::span<const std::byte> read_elements(const GgufEntry& entry, const std::string& field) {
    const std::size_t size = size_of(entry.element);
    const std::uint64_t most = in_.remaining() / (size == 0 ? kMinStringBytes : size);
    if (entry.count > most) {
      throw LoadError(file_, field,
                      "at most " + std::to_string(most) + " elements before the end of the file",
                      std::to_string(entry.count));
    }
    if (size == 0) {
      const std::size_t begin = in_.position();
      for (std::uint64_t i = 0; i < entry.count; ++i) {
        in_.take(in_.number<std::uint64_t>(field), field);
      }
      return bytes_.subspan(begin, in_.position() - begin);
    }
    const auto bytes = in_.take(entry.count * size, field);
    if (entry.element == GgufType::boolean &&
        !std::ranges::all_of(bytes, [](std::byte b) { return b <= std::byte{1}; })) {
      throw LoadError(file_, field, "a bool of 0 or 1", "another byte");
    }
    return bytes;
  }

  TensorDescription read_tensor(std::uint64_t index) {
    TensorDescription out;
    out.tensor.name = take_text(kMaxNameBytes, "name of tensor " + std::to_string(index));
    const std::string field = "tensor " + in_quotes(out.tensor.name);
    const auto n_dims = in_.number<std::uint32_t>(field);
    if (n_dims < 1 || n_dims > kMaxDims) {
      throw LoadError(file_, field, "1 to 4 dimensions", std::to_string(n_dims));
    }
    std::uint64_t elements = 1;
    for (std::uint32_t d = 0; d < n_dims; ++d) {
      const auto ne = in_.number<std::uint64_t>(field);
      if (ne == 0 || ne > std::numeric_limits<std::int64_t>::max() / elements) {
        throw LoadError(file_, field, "dimensions whose product is from 1 to 2^63 - 1",
                        "dimension " + std::to_string(d) + " of " + std::to_string(ne));
      }
      elements *= ne;
      out.tensor.shape.push_back(static_cast<std::int64_t>(ne));
    }
    std::ranges::reverse(out.tensor.shape);
    out.tensor.type = read_tensor_type(field);
    out.size = data_bytes(out.tensor, elements, field);
    out.offset = in_.number<std::uint64_t>(field);
    return out;
  }

  const GgufTensorType* read_tensor_type(const std::string& field) {
    const auto id = in_.number<std::uint32_t>(field);
    const GgufTensorType* type = gguf_tensor_type(id);
    if (type == nullptr) throw LoadError(file_, field, "a known tensor type", std::to_string(id));
    if (type->block_bytes == 0) {
      throw LoadError(file_, field, "a tensor type in use",
                      std::string(type->name) + " (" + std::to_string(id) +
                          "), which GGUF has withdrawn: convert the model anew");
    }
    return type;
  }

  std::uint64_t data_bytes(const GgufTensor& tensor, std::uint64_t elements,
                           const std::string& field) const {
    const GgufTensorType& type = *tensor.type;
    const auto columns = static_cast<std::uint64_t>(tensor.shape.back());
    if (columns % type.block != 0) {
      throw LoadError(
          file_, field,
          "rows of a multiple of " + std::to_string(type.block) + " for " + std::string(type.name),
          std::to_string(columns));
    }
    const std::uint64_t blocks = elements / type.block;
    if (blocks > bytes_.size() / type.block_bytes) {
      throw LoadError(file_, field, "a tensor that fits in the file",
                      std::string(type.name) + " " + shape_text(tensor.shape));
    }
    return blocks * type.block_bytes;
  }

  std::uint64_t read_alignment(const GgufMetadata& metadata) const {
    const std::int64_t value = metadata.integer("general.alignment").value_or(kDefaultAlignment);
    if (value < 1 || value > kMaxAlignment ||
        !std::has_single_bit(static_cast<std::uint64_t>(value))) {
      throw LoadError(file_, "key 'general.alignment'", "a power of two up to 2^24",
                      std::to_string(value));
    }
    return static_cast<std::uint64_t>(value);
  }

  // Checks that the tensors fill the data section, with no more between and after them than the
  // padding: a wrong count, size or offset anywhere in the header does not go unseen.
  std::vector<GgufTensor> locate(std::vector<TensorDescription> descriptions,
                                 std::uint64_t alignment) const {
    const auto align = [alignment](std::uint64_t n) {
      return (n + alignment - 1) / alignment * alignment;
    };
    const std::uint64_t data_begin = std::min<std::uint64_t>(align(in_.position()), bytes_.size());
    const auto data = bytes_.subspan(data_begin);
    std::vector<std::uint32_t> order(descriptions.size());
    std::iota(order.begin(), order.end(), 0u);
    std::ranges::sort(order, {}, [&](std::uint32_t i) { return descriptions[i].offset; });
    std::uint64_t end = 0;
    std::vector<GgufTensor> out(descriptions.size());
    for (const std::uint32_t i : order) {
      TensorDescription& d = descriptions[i];
      const std::string field = "tensor " + in_quotes(d.tensor.name);
      if (d.offset != align(end)) {
        throw LoadError(file_, field, "data at offset " + std::to_string(align(end)),
                        std::to_string(d.offset));
      }
      if (d.offset > data.size() || d.size > data.size() - d.offset) {
        throw LoadError(file_, field,
                        std::to_string(d.size) + " bytes at offset " + std::to_string(d.offset) +
                            " of the data",
                        "the end of the file after " + std::to_string(data.size()));
      }
      d.tensor.bytes = data.subspan(d.offset, d.size);
      end = d.offset + d.size;
      out[i] = std::move(d.tensor);
    }
    if (data.size() - end >= alignment) {
      throw LoadError(file_, "data",
                      std::to_string(end) + " bytes and padding, as the tensors take",
                      std::to_string(data.size()));
    }
    return out;
  }

  const std::string& file_;
  std::span<const std::byte> bytes_;
  ByteReader in_;
};

}  // namespace

GgufFile read_gguf(const std::string& file, std::span<const std::byte> bytes) {
  return Reader(file, bytes).read();
}

}  // namespace rbee
