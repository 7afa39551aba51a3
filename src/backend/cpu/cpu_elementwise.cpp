// Norms and element-wise ops.
#include <algorithm>
#include <string>

#include "backend/cpu/cpu_ops.hpp"
#include "backend/cpu/kernels/pack.hpp"
#include "backend/cpu/small_batch.hpp"
#include "backend/cpu/tensor_rows.hpp"
#include "backend/cpu/weight_store.hpp"

namespace rbee::cpu {
namespace {

constexpr int kUnitColumns = 256;  // columns that are changed together where any would do

}  // namespace

void CpuOps::change(const Tensor& x, Range read, int unit, FunctionRef<void(int, int, int)> body) {
  constexpr int kChunks = 4;
  worker_.before({read}, {Range::of(x)});
  const int units = (x.cols + unit - 1) / unit;
  const auto run = [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const int column = i % units * unit;
      body(i / units, column, std::min(column + unit, x.cols));
    }
  };
  if (worker_.own().holds(x.data)) {
    run(0, x.rows * units);
  } else {
    worker_.split(x.rows * units, kChunks, run);
  }
  forget(Range::of(x));
}

Tensor CpuOps::rms_norm(const Tensor& x, const Weight& weight, float eps) {
  const Tensor out = is_small(x.rows) ? own_tensor(x.rows, x.cols) : shared_tensor(x.rows, x.cols);
  for_rows(out, Range::of(x), [&](int begin, int end) {
    for (int t = begin; t < end; ++t) {
      vector_.rms_norm(row_of(x, t), vector_values(weight), eps, x.cols, row_of(out, t));
    }
  });
  return out;
}

Tensor CpuOps::layer_norm(const Tensor& x, const Weight& weight, const Weight& bias, float eps) {
  const Tensor out = is_small(x.rows) ? own_tensor(x.rows, x.cols) : shared_tensor(x.rows, x.cols);
  for_rows(out, Range::of(x), [&](int begin, int end) {
    for (int t = begin; t < end; ++t) {
      vector_.layer_norm(row_of(x, t), vector_values(weight), vector_values(bias), eps, x.cols,
                         row_of(out, t));
    }
  });
  return out;
}

void CpuOps::norm_heads(const Tensor& x, int heads, const HeadNorm& norm) {
  const int dim = x.cols / heads;
  const bool own_weights = norm.weight && norm.weight.cols != dim;
  change(x, {}, dim, [&](int row, int begin, int) {
    float* head = row_of(x, row) + begin;
    const int at = own_weights ? begin : 0;
    const float* weight = norm.weight ? vector_values(norm.weight) + at : nullptr;
    const float* bias = norm.bias ? vector_values(norm.bias) + at : nullptr;
    switch (norm.kind) {
      case HeadNorm::Kind::rms:
        return vector_.rms_norm(head, weight, norm.eps, dim, head);
      case HeadNorm::Kind::layer:
        return vector_.layer_norm(head, weight, bias, norm.eps, dim, head);
      case HeadNorm::Kind::l2:
        return vector_.l2_norm(head, norm.eps, dim, head);
    }
  });
}

void CpuOps::add_positions(const Tensor& acc, const Weight& table, const Batch& batch) {
  for (const std::int32_t position : batch.positions) {
    if (position < 0 || position >= table.rows) {
      throw BackendError("position " + std::to_string(position) + " is not among the " +
                         std::to_string(table.rows) + " that the model has learnt");
    }
  }
  const std::size_t mark = worker_.mark();
  const PanelMatrix matrix = panel_matrix(table);
  const Tensor row = own_tensor(1, table.cols);
  change(acc, {}, acc.cols, [&](int t, int, int) {
    unpack_row(matrix, batch.positions[static_cast<std::size_t>(t)], row.data);
    vector_.add(row.data, acc.cols, row_of(acc, t));
  });
  worker_.release(mark);
}

void CpuOps::activate(const Tensor& x, Activation act) {
  const ElementFunction function = element_function(act);
  change(x, {}, kUnitColumns, [&](int row, int begin, int end) {
    vector_.activate(function, end - begin, row_of(x, row) + begin);
  });
}

void CpuOps::add(const Tensor& acc, const Tensor& x) {
  change(acc, Range::of(x), kUnitColumns, [&](int row, int begin, int end) {
    vector_.add(row_of(x, row) + begin, end - begin, row_of(acc, row) + begin);
  });
}

void CpuOps::multiply(const Tensor& acc, const Tensor& x, Activation act) {
  const ElementFunction function = element_function(act);
  change(acc, Range::of(x), kUnitColumns, [&](int row, int begin, int end) {
    float* values = row_of(acc, row) + begin;
    const int n = end - begin;
    if (x.cols == acc.cols) {
      return vector_.gate(function, row_of(x, row) + begin, values, 0, 1, n, values, 0);
    }
    float factor = *row_of(x, row);
    vector_.activate(function, 1, &factor);
    vector_.scale(factor, n, values);
  });
}

void CpuOps::scale(const Tensor& x, float factor) {
  change(x, {}, kUnitColumns, [&](int row, int begin, int end) {
    vector_.scale(factor, end - begin, row_of(x, row) + begin);
  });
}

void CpuOps::clamp(const Tensor& x, float limit) {
  change(x, {}, kUnitColumns, [&](int row, int begin, int end) {
    vector_.clamp(limit, end - begin, row_of(x, row) + begin);
  });
}

void CpuOps::softcap(const Tensor& x, float cap) {
  change(x, {}, kUnitColumns, [&](int row, int begin, int end) {
    vector_.softcap(cap, end - begin, row_of(x, row) + begin);
  });
}

}  // namespace rbee::cpu
