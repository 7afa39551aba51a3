#include "checkpoint/stored_scales.hpp"

#include <array>
#include <cmath>
#include <cstring>

#include "base/load_error.hpp"
#include "checkpoint/describe.hpp"
#include "checkpoint/float16.hpp"
#include "checkpoint/float8.hpp"

namespace rbee {

void StoredName::bad(const std::string& expected, const std::string& found) const {
  throw LoadError(file, "tensor " + in_quotes(tensor), expected, found);
}

StoredScales::StoredScales(const StoredTensor& tensor, float divisor)
    : name_(tensor), bytes_(tensor.bytes), divisor_(divisor) {
  struct Type {
    std::string_view dtype;
    Kind kind;
    std::size_t width;
  };
  constexpr std::array<Type, 6> kTypes{{{"F32", Kind::f32, 4},
                                        {"F16", Kind::f16, 2},
                                        {"BF16", Kind::bf16, 2},
                                        {"F8_E4M3", Kind::e4m3, 1},
                                        {"F8_E8M0", Kind::e8m0, 1},
                                        {"U8", Kind::u8, 1}}};
  for (const Type& type : kTypes) {
    if (type.dtype != tensor.dtype) continue;
    kind_ = type.kind;
    width_ = type.width;
    return;
  }
  name_.bad("scales in F32, F16, BF16 or 8 bits", tensor.dtype);
}

float StoredScales::operator[](std::size_t i) const {
  const std::byte* at = bytes_.data() + i * width_;
  const auto bits8 = static_cast<std::uint8_t>(*at);
  std::uint16_t bits16 = 0;
  if (width_ == 2) std::memcpy(&bits16, at, sizeof bits16);
  float value = 0;
  switch (kind_) {
    case Kind::f32:
      std::memcpy(&value, at, sizeof value);
      break;
    case Kind::f16:
      value = f16_to_float(bits16);
      break;
    case Kind::bf16:
      value = bf16_to_float(bits16);
      break;
    case Kind::e4m3:
      value = e4m3_to_float(bits8);
      break;
    case Kind::e8m0:
      value = e8m0_to_float(bits8);
      break;
    case Kind::u8:
      value = static_cast<float>(bits8);
      break;
  }
  if (!std::isfinite(value)) name_.bad("finite numbers", "an infinity or NaN");
  return value / divisor_;
}

}  // namespace rbee
