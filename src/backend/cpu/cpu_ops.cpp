#include "backend/cpu/cpu_ops.hpp"

#include <algorithm>
#include <string>

#include "backend/cpu/kernels/pack.hpp"
#include "backend/cpu/small_batch.hpp"
#include "backend/cpu/tensor_rows.hpp"
#include "backend/cpu/weight_store.hpp"

namespace rbee::cpu {
namespace {

bool same(const Tensor& a, const Tensor& b) {
  return a.data == b.data && a.rows == b.rows && a.cols == b.cols && a.stride == b.stride;
}

}  // namespace

CpuOps::CpuOps(Worker worker, Isa isa, const KvCache& cache, ProductObserver* observer)
    : worker_(worker),
      matmul_(matmul_kernels(isa)),
      vector_(vector_kernels(isa)),
      recurrent_(recurrent_kernels(isa)),
      attention_kernels_(attention_kernels(isa)),
      latent_kernels_(latent_kernels(isa)),
      cache_(cache),
      observer_(observer),
      attention_(attention_kernels_),
      moe_(matmul_, vector_, observer) {}

void CpuOps::begin_step() {
  worker_.begin_step();
  ropes_.begin_step();
  converted_.clear();
}

std::size_t CpuOps::most_scratch() const noexcept {
  return worker_.own().most_used() + (worker_.index() == 0 ? worker_.shared().most_used() : 0);
}

Tensor CpuOps::shared_tensor(int rows, int cols) {
  const int stride = (cols + 15) / 16 * 16;  // rows of whole cache lines
  const std::size_t values = static_cast<std::size_t>(rows) * static_cast<std::size_t>(stride);
  return {reinterpret_cast<float*>(worker_.shared().take(values * sizeof(float))), rows, cols,
          stride};
}

Tensor CpuOps::own_tensor(int rows, int cols) {
  const std::size_t values = static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols);
  return {reinterpret_cast<float*>(worker_.own().take(values * sizeof(float))), rows, cols, cols};
}

void CpuOps::for_rows(const Tensor& out, Range read, Worker::Body body) {
  constexpr int kChunks = 4;
  worker_.before({read}, {Range::of(out)});
  if (worker_.own().holds(out.data)) {
    body(0, out.rows);
  } else {
    worker_.split(out.rows, kChunks, body);
  }
}

void CpuOps::forget(const Range& written) {
  std::erase_if(converted_,
                [&](const Converted& c) { return Range::of(c.source).overlaps(written); });
}

void CpuOps::release(std::size_t mark) {
  worker_.release(mark);
  const auto freed = [&](const void* data) {
    const Arena& arena = worker_.own().holds(data) ? worker_.own() : worker_.shared();
    return arena.holds(data) && data >= arena.front();
  };
  std::erase_if(converted_,
                [&](const Converted& c) { return freed(c.source.data) || freed(c.result.data); });
}

Tensor CpuOps::embed(const Weight& table, const Batch& batch, float scale) {
  for (const std::int32_t token : batch.tokens) {
    if (token < 0 || token >= table.rows) {
      throw BackendError("token " + std::to_string(token) + " is not among the " +
                         std::to_string(table.rows) + " of the embedding");
    }
  }
  const PanelMatrix matrix = panel_matrix(table);
  const Tensor out = shared_tensor(batch.n_tokens(), table.cols);
  for_rows(out, {}, [&](int begin, int end) {
    for (int t = begin; t < end; ++t) {
      float* row = row_of(out, t);
      unpack_row(matrix, batch.tokens[static_cast<std::size_t>(t)], row);
      if (scale != 1) {
        for (int c = 0; c < out.cols; ++c) row[c] *= scale;
      }
    }
  });
  return out;
}

Activations CpuOps::convert(const Tensor& x, const Weight& weight) {
  const ActType type = matmul_.act_type(panel_matrix(weight).type);
  for (const Converted& c : converted_) {
    if (c.result.type == type && same(c.source, x)) return c.result;
  }
  const std::size_t bytes = matmul_.act_bytes(type, x.rows, x.cols);
  const bool repeat = is_small(x.rows);
  std::byte* buffer = (repeat ? worker_.own() : worker_.shared()).take(bytes);
  const auto run = [&](int begin, int end) {
    matmul_.convert(type, x.data, x.stride, x.rows, begin * kTileTokens,
                    std::min(end * kTileTokens, x.rows), x.cols, buffer);
  };
  const Range range = Range::of(buffer, bytes);
  const int tiles = (x.rows + kTileTokens - 1) / kTileTokens;
  worker_.before({Range::of(x)}, {range});
  if (repeat) {
    run(0, tiles);
  } else {
    worker_.split(tiles, 1, run);
  }
  converted_.push_back({x, {type, x.rows, x.cols, buffer, range}});
  return converted_.back().result;
}

// To the observer, by worker 0.
void CpuOps::show(const Tensor& x, const Weight& weight) {
  if (observer_ == nullptr) return;
  worker_.before({Range::of(x)}, {});
  if (worker_.index() == 0) observer_->inputs(weight, x);
}

Product CpuOps::product(const Tensor& x, const Linear& part, float* out, std::ptrdiff_t stride) {
  show(x, part.weight);
  const float* bias = part.bias ? vector_values(part.bias) : nullptr;
  return {panel_matrix(part.weight), bias, convert(x, part.weight), out, stride};
}

Tensor CpuOps::linear(const Tensor& x, std::span<const Linear> parts) {
  int cols = 0;
  for (const Linear& part : parts) cols += part.weight.rows;
  const Tensor out = shared_tensor(x.rows, cols);
  if (x.rows == 0 || cols == 0) return out;
  products_.clear();
  int column = 0;
  for (const Linear& part : parts) {
    products_.push_back(product(x, part, out.data + column, out.stride));
    column += part.weight.rows;
  }
  // There are as many forms of x as types of activations: at most three.
  Range forms[3] = {};
  for (const Product& p : products_) forms[static_cast<int>(p.x.type)] = p.x.range;
  worker_.before({forms[0], forms[1], forms[2]}, {Range::of(out)});
  cpu::multiply(worker_, matmul_, products_, /*accumulate=*/false);
  return out;
}

void CpuOps::linear_add(const Tensor& acc, const Tensor& x, const Linear& part) {
  if (x.rows == 0) return;
  const Product p = product(x, part, acc.data, acc.stride);
  worker_.before({p.x.range}, {Range::of(acc)});
  if (worker_.own().holds(acc.data)) {
    multiply_panels(worker_, matmul_, p, 0, panel_count(p.weight.rows), /*accumulate=*/true);
  } else {
    cpu::multiply(worker_, matmul_, {&p, 1}, /*accumulate=*/true);
  }
  forget(Range::of(acc));
}

Tensor CpuOps::gated(const Tensor& x, const Linear& gate, const Linear& up, Activation act) {
  const Tensor out = shared_tensor(x.rows, gate.weight.rows);
  if (x.rows == 0) return out;
  const GatedProduct p{product(x, gate, nullptr, 0), product(x, up, nullptr, 0),
                       element_function(act), out};
  worker_.before({p.gate.x.range, p.up.x.range}, {Range::of(out)});
  multiply_gated(worker_, matmul_, vector_, p);
  return out;
}

void CpuOps::moe_add(const Tensor& acc, const Tensor& x, const MoeParams& params) {
  if (x.rows == 0) return;
  const Scope scratch(*this);
  const Tensor logits = linear(x, {&params.router, 1});
  moe_.run(worker_, acc, x, logits, params);
  forget(Range::of(acc));
}

Tensor CpuOps::take_rows(const Tensor& x, std::span<const std::int32_t> rows) {
  const int count = static_cast<int>(rows.size());
  if (count == x.rows) return x;  // rows ascend: these are all
  const Tensor out = is_small(count) ? own_tensor(count, x.cols) : shared_tensor(count, x.cols);
  for_rows(out, Range::of(x), [&](int begin, int end) {
    for (int r = begin; r < end; ++r) {
      std::copy_n(row_of(x, rows[static_cast<std::size_t>(r)]), x.cols, row_of(out, r));
    }
  });
  return out;
}

}  // namespace rbee::cpu
