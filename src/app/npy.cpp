#include "app/npy.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace rbee {

NpyWriter::NpyWriter(const std::filesystem::path& path, std::int64_t rows, std::int64_t cols)
    : path_(path), out_(path, std::ios::binary | std::ios::trunc) {
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, cols);
  constexpr std::size_t kPreamble = 10;  // magic, version, header length
  header.append((64 - (kPreamble + header.size() + 1) % 64) % 64, ' ');
  header += '\n';
  const auto size = static_cast<std::uint16_t>(header.size());
  const char preamble[kPreamble] = {'\x93',
                                    'N',
                                    'U',
                                    'M',
                                    'P',
                                    'Y',
                                    1,
                                    0,
                                    static_cast<char>(size & 0xFF),
                                    static_cast<char>(size >> 8)};
  out_.write(preamble, kPreamble);
  out_.write(header.data(), static_cast<std::streamsize>(header.size()));
}

void NpyWriter::write(std::span<const float> values) {
  out_.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size_bytes()));
}

void NpyWriter::close() {
  out_.close();
  if (!out_) throw std::runtime_error("cannot write " + path_.string());
}

}  // namespace rbee
