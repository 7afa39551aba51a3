#include "checkpoint/safetensors_file.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/load_error.hpp"
#include "checkpoint/byte_reader.hpp"
#include "checkpoint/describe.hpp"

namespace rbee {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

// The limit of the reference reader.
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::size_t kMaxDepth = 16;

struct TypeInfo {
  std::string_view name;
  std::uint64_t bits;
  std::optional<DType> type;
};

constexpr std::array kTypes{
    TypeInfo{"F32", 32, DType::f32},      TypeInfo{"F16", 16, DType::f16},
    TypeInfo{"BF16", 16, DType::bf16},    TypeInfo{"F64", 64, std::nullopt},
    TypeInfo{"I64", 64, std::nullopt},    TypeInfo{"U64", 64, std::nullopt},
    TypeInfo{"I32", 32, std::nullopt},    TypeInfo{"U32", 32, std::nullopt},
    TypeInfo{"I16", 16, std::nullopt},    TypeInfo{"U16", 16, std::nullopt},
    TypeInfo{"I8", 8, std::nullopt},      TypeInfo{"U8", 8, std::nullopt},
    TypeInfo{"BOOL", 8, std::nullopt},    TypeInfo{"F8_E4M3", 8, std::nullopt},
    TypeInfo{"F8_E5M2", 8, std::nullopt}, TypeInfo{"F8_E8M0", 8, std::nullopt},
    TypeInfo{"C64", 64, std::nullopt},    TypeInfo{"F4", 4, std::nullopt},
    TypeInfo{"F6_E2M3", 6, std::nullopt}, TypeInfo{"F6_E3M2", 6, std::nullopt},
};

object parse_object(simdjson::dom::parser& parser, const std::string& file,
                    std::span<const std::byte> text, const std::string& field) {
  if (text.empty()) throw LoadError(file, field, "a JSON object", "no text");
  object root;
  auto error = parser.allocate(text.size(), kMaxDepth);
  // The parser copies the text: it reads a little past the end.
  if (!error) {
    error = parser.parse(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), true)
                .get(root);
  }
  if (error) throw LoadError(file, field, "a JSON object", simdjson::error_message(error));
  return root;
}

class HeaderReader {
 public:
  HeaderReader(const std::string& file, std::span<const std::byte> data)
      : file_(file), data_(data) {}

  std::vector<SafetensorsTensor> read(object header) {
    bool has_metadata = false;
    for (const auto& [name, value] : header) {
      if (name == "__metadata__") {
        if (has_metadata) throw LoadError(file_, "__metadata__", "one value", "the key twice");
        check_metadata(value);
        has_metadata = true;
      } else {
        out_.push_back(read_tensor(name, value));
      }
    }
    check_tiling();
    return std::move(out_);
  }

 private:
  void check_metadata(element value) const {
    object members;
    bool ok = value.get(members) == simdjson::SUCCESS;
    if (ok) {
      ok =
          std::ranges::all_of(members, [](const auto& member) { return member.value.is_string(); });
    }
    if (!ok) throw LoadError(file_, "__metadata__", "an object of strings", "another value");
  }

  SafetensorsTensor read_tensor(std::string_view name, element value) const {
    const std::string field = "tensor " + in_quotes(name);
    if (name.empty()) throw LoadError(file_, field, "a name", "an empty one");
    object members;
    if (value.get(members)) throw LoadError(file_, field, "an object", "another value");
    SafetensorsTensor out;
    out.name = name;
    std::array<int, 3> seen{};
    for (const auto& [key, member] : members) {
      if (key == "dtype") {
        ++seen[0];
        out.dtype = read_dtype(member, field);
      } else if (key == "shape") {
        ++seen[1];
        out.shape = read_shape(member, field);
      } else if (key == "data_offsets") {
        ++seen[2];
        out.bytes = read_bytes(member, field);
      }
    }
    if (seen != std::array{1, 1, 1}) {
      throw LoadError(file_, field, "dtype, shape and data_offsets, each once",
                      std::to_string(seen[0]) + ", " + std::to_string(seen[1]) + " and " +
                          std::to_string(seen[2]) + " of them");
    }
    check_size(out, field);
    return out;
  }

  std::string read_dtype(element value, const std::string& field) const {
    std::string_view text;
    if (value.get(text) || text.empty()) {
      throw LoadError(file_, field + ".dtype", "the name of a type", "another value");
    }
    return std::string(text);
  }

  std::vector<std::int64_t> read_shape(element value, const std::string& field) const {
    simdjson::dom::array dims;
    if (value.get(dims)) throw LoadError(file_, field + ".shape", "an array", "another value");
    std::vector<std::int64_t> shape;
    for (const element dim : dims) {
      std::int64_t number = 0;
      if (dim.get(number) || number < 0) {
        throw LoadError(file_, field + ".shape", "whole numbers from 0 to 2^63 - 1",
                        in_quotes(simdjson::minify(dim)));
      }
      shape.push_back(number);
    }
    return shape;
  }

  std::span<const std::byte> read_bytes(element value, const std::string& field) const {
    simdjson::dom::array pair;
    std::uint64_t begin = 0, end = 0;
    if (value.get(pair) || pair.size() != 2 || pair.at(0).get(begin) || pair.at(1).get(end)) {
      throw LoadError(file_, field + ".data_offsets", "two whole numbers",
                      in_quotes(simdjson::minify(value)));
    }
    if (begin > end || end > data_.size()) {
      throw LoadError(file_, field + ".data_offsets",
                      "a range within the " + std::to_string(data_.size()) + " bytes of data",
                      in_quotes(simdjson::minify(value)));
    }
    return data_.subspan(begin, end - begin);
  }

  // Also sets the type. The size of a type that is unknown here cannot be checked.
  void check_size(SafetensorsTensor& tensor, const std::string& field) const {
    const auto* type = std::ranges::find(kTypes, std::string_view(tensor.dtype), &TypeInfo::name);
    if (type == kTypes.end()) return;
    tensor.type = type->type;
    const bool empty = std::ranges::find(tensor.shape, 0) != tensor.shape.end();
    std::uint64_t bits = empty ? 0 : type->bits;
    for (const std::int64_t dim : tensor.shape) {
      if (empty) break;
      if (static_cast<std::uint64_t>(dim) > std::numeric_limits<std::uint64_t>::max() / bits) {
        throw LoadError(file_, field + ".shape", "a size below 2^64 bits",
                        shape_text(tensor.shape));
      }
      bits *= static_cast<std::uint64_t>(dim);
    }
    if (bits % 8 != 0 || bits / 8 != tensor.bytes.size()) {
      throw LoadError(
          file_, field + ".data_offsets",
          std::to_string(bits) + " bits for " + tensor.dtype + " " + shape_text(tensor.shape),
          std::to_string(tensor.bytes.size()) + " bytes");
    }
  }

  void check_tiling() const {
    std::vector<const SafetensorsTensor*> order;
    for (const SafetensorsTensor& tensor : out_) order.push_back(&tensor);
    std::ranges::sort(order, {}, [](const SafetensorsTensor* tensor) {
      return std::pair(tensor->bytes.data(), tensor->bytes.size());
    });
    const std::byte* expected = data_.data();
    for (const SafetensorsTensor* tensor : order) {
      if (tensor->bytes.data() != expected) {
        throw LoadError(file_, "tensor " + in_quotes(tensor->name) + ".data_offsets",
                        "a beginning at " + std::to_string(expected - data_.data()) +
                            ", where the tensor before it ends",
                        std::to_string(tensor->bytes.data() - data_.data()));
      }
      expected += tensor->bytes.size();
    }
    if (expected != data_.data() + data_.size()) {
      throw LoadError(file_, "data",
                      std::to_string(expected - data_.data()) + " bytes, as the header says",
                      std::to_string(data_.size()));
    }
  }

  const std::string& file_;
  std::span<const std::byte> data_;
  std::vector<SafetensorsTensor> out_;
};

bool stays_in_folder(std::string_view name) {
  constexpr std::string_view kOthers("/\\\0", 3);
  return name.ends_with(".safetensors") && name.find_first_of(kOthers) == std::string_view::npos;
}

}  // namespace

std::vector<SafetensorsTensor> read_safetensors(const std::string& file,
                                                std::span<const std::byte> bytes) {
  ByteReader in(file, bytes);
  const auto size = in.number<std::uint64_t>("header length");
  if (size < 2 || size > kMaxHeaderBytes) {
    throw LoadError(file, "header length", "2 to " + std::to_string(kMaxHeaderBytes),
                    std::to_string(size));
  }
  const auto text = in.take(size, "header");
  simdjson::dom::parser parser(kMaxHeaderBytes);
  const object header = parse_object(parser, file, text, "header");
  return HeaderReader(file, bytes.subspan(in.position())).read(header);
}

std::vector<std::pair<std::string, std::string>> read_safetensors_index(
    const std::string& file, std::span<const std::byte> bytes) {
  if (bytes.size() > kMaxHeaderBytes) {
    throw LoadError(file, "size", "at most " + std::to_string(kMaxHeaderBytes) + " bytes",
                    std::to_string(bytes.size()));
  }
  simdjson::dom::parser parser(kMaxHeaderBytes);
  const object root = parse_object(parser, file, bytes, "JSON");
  object map;
  if (root["weight_map"].get(map)) {
    throw LoadError(file, "weight_map", "an object", "none");
  }
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [name, value] : map) {
    std::string_view shard;
    if (value.get(shard) || !stays_in_folder(shard)) {
      throw LoadError(file, "weight_map of tensor " + in_quotes(name),
                      "the name of a *.safetensors file in the same folder",
                      in_quotes(simdjson::minify(value)));
    }
    out.emplace_back(name, shard);
  }
  return out;
}

}  // namespace rbee
