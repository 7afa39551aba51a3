// Readers of the quantised codes of a panel (panel.hpp): group<g>() gives, for each row of one part
// of the panel, the unsigned codes of k = 4g .. 4g + 3. For *_kernels.cpp files only.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/cpu/kernels/simd.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

constexpr int kPartBytes = 64 / kParts;  // of each 64 bytes of a panel

struct Bytes {
  static constexpr std::size_t kBytes = 512;
  const std::byte* p;
  RBEE_MEMBER Bytes(const std::byte* block, int part) : p(block + part * kPartBytes) {}
  template <int g>
  RBEE_MEMBER Ints group() const {
    return load_ints(p + 64 * g);
  }
};

struct Nibbles {
  static constexpr std::size_t kBytes = 256;
  const std::byte* p;
  RBEE_MEMBER Nibbles(const std::byte* block, int part) : p(block + part * kPartBytes) {}
  template <int g>
  RBEE_MEMBER Ints group() const {
    return bit_and(shift < g % 2 == 0 ? 0 : -4 > (load_ints(p + 64 * (g / 2))), splat(0x0F0F0F0FU));
  }
};

struct Crumbs {
  static constexpr std::size_t kBytes = 128;
  const std::byte* p;
  RBEE_MEMBER Crumbs(const std::byte* block, int part) : p(block + part * kPartBytes) {}
  template <int g>
  RBEE_MEMBER Ints group() const {
    return bit_and(shift<-2 * (g % 4)>(load_ints(p + 64 * (g / 4))), splat(0x03030303U));
  }
};

// Q5: a bit plane (bit 4), then nibbles.
struct PlaneNibbles {
  static constexpr std::size_t kBytes = 64 + Nibbles::kBytes;
  Ints plane;
  Nibbles nibbles;
  RBEE_MEMBER PlaneNibbles(const std::byte* block, int part)
      : plane(load_ints(block + part * kPartBytes)), nibbles(block + 64, part) {}
  template <int g>
  RBEE_MEMBER Ints group() const {
    return and_or(shift<4 - g>(plane), splat(0x10101010U), nibbles.template group<g>());
  }
};

// Q6_K: nibbles, then crumbs (bits 4 and 5).
struct NibblesCrumbs {
  static constexpr std::size_t kBytes = Nibbles::kBytes + Crumbs::kBytes;
  Nibbles nibbles;
  const std::byte* crumbs;
  RBEE_MEMBER NibblesCrumbs(const std::byte* block, int part)
      : nibbles(block, part), crumbs(block + Nibbles::kBytes + part * kPartBytes) {}
  template <int g>
  RBEE_MEMBER Ints group() const {
    const Ints high = shift<4 - 2 * (g % 4)>(load_ints(crumbs + 64 * (g / 4)));
    return and_or(high, splat(0x30303030U), nibbles.template group<g>());
  }
};

// Q1_0: 0 or 2, that is 1 or -1 with an offset of 1.
struct DoubledPlane {
  static constexpr std::size_t kBytes = 64;
  Ints plane;
  RBEE_MEMBER DoubledPlane(const std::byte* block, int part)
      : plane(load_ints(block + part * kPartBytes)) {}
  template <int g>
  RBEE_MEMBER Ints group() const {
    return bit_and(shift<1 - g>(plane), splat(0x02020202U));
  }
};

// Q3_K: crumbs, then a bit plane (bit 2).
struct CrumbsPlane {
  static constexpr std::size_t kBytes = Crumbs::kBytes + 64;
  Crumbs crumbs;
  Ints plane;
  RBEE_MEMBER CrumbsPlane(const std::byte* block, int part)
      : crumbs(block, part), plane(load_ints(block + Crumbs::kBytes + part * kPartBytes)) {}
  template <int g>
  RBEE_MEMBER Ints group() const {
    return and_or(shift<2 - g>(plane), splat(0x04040404U), crumbs.template group<g>());
  }
};

// A table of 16 numbers, made unsigned by an offset: what group() gives for nibbles.
struct CodeTable {
  std::uint8_t bytes[16];
};
constexpr CodeTable code_table(const int (&values)[16], int offset) {
  CodeTable table{};
  for (int i = 0; i < 16; ++i) table.bytes[i] = static_cast<std::uint8_t>(values[i] + offset);
  return table;
}

// The codes of another reader are indices into a table.
template <class Codes, const CodeTable& table>
struct Indices {
  static constexpr std::size_t kBytes = Codes::kBytes;
  Codes indices;
  Table values;
  RBEE_MEMBER Indices(const std::byte* block, int part)
      : indices(block, part), values(load_table(table.bytes)) {}
  template <int g>
  RBEE_MEMBER Ints group() const {
    return lookup(values, indices.template group<g>());
  }
};

// The groups of another reader from g = 4 on: the second half of a block.
template <class Codes>
struct SecondHalf {
  const Codes& codes;
  template <int g>
  RBEE_MEMBER Ints group() const {
    return codes.template group<g + 4>();
  }
};

}  // namespace
}  // namespace rbee::cpu::RBEE_ISA
