#include "tokenizer/protobuf.hpp"

#include <fmt/format.h>

#include <bit>

#include "base/load_error.hpp"

namespace rbee {

std::optional<ProtobufReader::Field> ProtobufReader::next() {
  if (rest_.empty()) return std::nullopt;
  const std::uint64_t tag = varint();
  const std::uint64_t number = tag >> 3;
  if (number == 0 || number >= std::uint64_t{1} << 29) {
    refuse("a field number", std::to_string(number));
  }
  Field field;
  field.number = static_cast<std::uint32_t>(number);
  switch (tag & 7) {
    case 0:
      field.value = varint();
      break;
    case 1:
      field.wire = Wire::fixed64;
      field.value = little_endian(8);
      break;
    case 2:
      field.wire = Wire::bytes;
      field.bytes = take(varint());
      break;
    case 5:
      field.wire = Wire::fixed32;
      field.value = little_endian(4);
      break;
    default:
      refuse("a number, bytes or a message", fmt::format("wire type {}", tag & 7));
  }
  return field;
}

std::uint64_t ProtobufReader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(take(1)[0]);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  refuse("a number of at most 64 bits", "a longer one");
}

std::uint64_t ProtobufReader::little_endian(std::size_t size) {
  std::uint64_t value = 0;
  const std::string_view bytes = take(size);
  for (std::size_t i = 0; i < size; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return value;
}

std::string_view ProtobufReader::take(std::uint64_t size) {
  if (size > rest_.size()) {
    refuse(fmt::format("{} more bytes", size), fmt::format("{} bytes", rest_.size()));
  }
  const std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

void ProtobufReader::check(const Field& field, Wire wire, std::string_view expected) const {
  if (field.wire != wire) {
    refuse(fmt::format("{} as field {}", expected, field.number),
           fmt::format("wire type {}", static_cast<int>(field.wire)));
  }
}

std::string_view ProtobufReader::bytes(const Field& field) const {
  check(field, Wire::bytes, "bytes");
  return field.bytes;
}

std::int64_t ProtobufReader::integer(const Field& field) const {
  check(field, Wire::varint, "an integer");
  return static_cast<std::int64_t>(field.value);
}

float ProtobufReader::real(const Field& field) const {
  check(field, Wire::fixed32, "a float");
  return std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
}

void ProtobufReader::refuse(std::string expected, std::string found) const {
  throw LoadError(*file_, name_, std::move(expected), std::move(found));
}

}  // namespace rbee
