// ProtobufReader: the fields of one message in protocol buffers' wire format, one after another.
// Format: https://protobuf.dev/programming-guides/encoding
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rbee {

class ProtobufReader {
 public:
  enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

  struct Field {
    std::uint32_t number = 0;
    Wire wire = Wire::varint;
    std::uint64_t value = 0;  // of a number
    std::string_view bytes;   // of a string, bytes or message; a view into the message
  };

  // message and file must outlive this; name says in errors where the message is.
  ProtobufReader(std::string_view message, const std::string& file, std::string name)
      : rest_(message), file_(&file), name_(std::move(name)) {}

  // The next field; nullopt at the end of the message. Throws LoadError for a field that is cut
  // off, and for groups.
  std::optional<Field> next();

  // The values of fields, which throw LoadError when the field is of another wire type.
  std::string_view bytes(const Field& field) const;
  std::int64_t integer(const Field& field) const;
  bool boolean(const Field& field) const { return integer(field) != 0; }
  float real(const Field& field) const;

 private:
  std::uint64_t varint();
  std::uint64_t little_endian(std::size_t size);
  std::string_view take(std::uint64_t size);
  void check(const Field& field, Wire wire, std::string_view expected) const;
  [[noreturn]] void refuse(std::string expected, std::string found) const;

  std::string_view rest_;
  const std::string* file_;
  std::string name_;
};

}  // namespace rbee
