#include "backend/cpu/rope_table.hpp"

#include <cmath>

#include "backend/cpu/small_batch.hpp"

namespace rbee::cpu {
namespace {

bool same(const Rope& a, const Rope& b) {
  return a.dims == b.dims && a.pairing == b.pairing && a.inv_freq.data == b.inv_freq.data &&
         a.scale == b.scale;
}

void fill_row(const Rope& rope, int position, float* cos_row, float* sin_row) {
  const auto* inv_freq = reinterpret_cast<const float*>(rope.inv_freq.data);
  const int half = rope.dims / 2;
  for (int j = 0; j < half; ++j) {
    const float angle = static_cast<float>(position) * inv_freq[j];
    const float c = std::cos(angle) * rope.scale;
    const float s = std::sin(angle) * rope.scale;
    const bool adjacent = rope.pairing == RopePairing::adjacent;
    const int first = adjacent ? 2 * j : j;
    const int second = adjacent ? 2 * j + 1 : j + half;
    cos_row[first] = cos_row[second] = c;
    sin_row[first] = -s;
    sin_row[second] = s;
  }
}

}  // namespace

void rotate(const VectorKernels& vector, const Rope& rope, const RopeTable& table,
            const RopeHead& head, const float* x, float* out) {
  const float* cos = table.values;
  if (cos) cos += static_cast<std::ptrdiff_t>(head.token) * 2 * rope.dims;
  vector.rotate(x, cos, cos ? cos + rope.dims : nullptr, rope.dims,
                rope.pairing == RopePairing::adjacent, head.n, out);
}

RopeTable RopeTables::get(Worker& worker, const Rope& rope, const Batch& batch) {
  if (rope.dims == 0) return {};
  for (const Entry& entry : tables_) {
    if (same(entry.rope, rope)) return entry.table;
  }
  const int tokens = batch.n_tokens();
  const std::size_t row = 2 * static_cast<std::size_t>(rope.dims);
  const std::size_t bytes = static_cast<std::size_t>(tokens) * row * sizeof(float);
  const bool repeat = is_small(tokens);
  Arena& arena = repeat ? worker.own() : worker.shared();
  auto* values = reinterpret_cast<float*>(arena.take_for_step(bytes));
  const RopeTable table{values, Range::of(values, bytes)};
  const auto fill = [&](int begin, int end) {
    for (int t = begin; t < end; ++t) {
      float* cos_row = values + static_cast<std::size_t>(t) * row;
      fill_row(rope, batch.positions[static_cast<std::size_t>(t)], cos_row, cos_row + rope.dims);
    }
  };
  if (repeat) {
    fill(0, tokens);
  } else {
    worker.before({}, {table.range});
    worker.split(tokens, 1, fill);
  }
  tables_.push_back({rope, table});
  return table;
}

}  // namespace rbee::cpu
