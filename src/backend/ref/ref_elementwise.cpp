// Norms and element-wise ops of the reference backend.
#include <cmath>

#include "backend/ref/ref_math.hpp"
#include "backend/ref/ref_ops.hpp"

namespace rbee {

using namespace ref;

namespace {

double mean_of(const float* x, int n) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
  return sum / n;
}

// What x - offset is multiplied with, before the weight.
struct Normaliser {
  double offset = 0;
  double factor = 1;
};

Normaliser normaliser(HeadNorm::Kind kind, const float* x, int n, float eps) {
  const double offset = kind == HeadNorm::Kind::layer ? mean_of(x, n) : 0;
  double squares = 0;
  for (int i = 0; i < n; ++i) {
    const double d = static_cast<double>(x[i]) - offset;
    squares += d * d;
  }
  if (kind != HeadNorm::Kind::l2) squares /= n;
  return {offset, 1 / std::sqrt(squares + static_cast<double>(eps))};
}

// Columns [begin, begin + n) of the norm's vectors belong to these values.
void normalise(const float* x, int n, const HeadNorm& norm, int begin, float* out) {
  const Normaliser by = normaliser(norm.kind, x, n, norm.eps);
  for (int i = 0; i < n; ++i) {
    const auto c = static_cast<std::size_t>(begin + i);
    auto y = static_cast<float>((static_cast<double>(x[i]) - by.offset) * by.factor);
    if (norm.weight) y *= vector_values(norm.weight)[c];
    if (norm.bias) y += vector_values(norm.bias)[c];
    out[i] = y;
  }
}

template <class F>
void for_each(const Tensor& x, F change) {
  for (int t = 0; t < x.rows; ++t) {
    for (int c = 0; c < x.cols; ++c) change(row_of(x, t)[c], t, c);
  }
}

}  // namespace

Tensor RefOps::rms_norm(const Tensor& x, const Weight& weight, float eps) {
  const Tensor out = make(x.rows, x.cols);
  const HeadNorm norm{HeadNorm::Kind::rms, weight, {}, eps};
  for (int t = 0; t < x.rows; ++t) normalise(row_of(x, t), x.cols, norm, 0, row_of(out, t));
  return out;
}

Tensor RefOps::layer_norm(const Tensor& x, const Weight& weight, const Weight& bias, float eps) {
  const Tensor out = make(x.rows, x.cols);
  const HeadNorm norm{HeadNorm::Kind::layer, weight, bias, eps};
  for (int t = 0; t < x.rows; ++t) normalise(row_of(x, t), x.cols, norm, 0, row_of(out, t));
  return out;
}

void RefOps::norm_heads(const Tensor& x, int heads, const HeadNorm& norm) {
  const int dim = x.cols / heads;
  const bool own_weights = norm.weight && norm.weight.cols != dim;
  for (int t = 0; t < x.rows; ++t) {
    for (int h = 0; h < heads; ++h) {
      float* head = row_of(x, t) + h * dim;
      normalise(head, dim, norm, own_weights ? h * dim : 0, head);
    }
  }
}

void RefOps::add_positions(const Tensor& acc, const Weight& table, const Batch& batch) {
  std::vector<float> row(static_cast<std::size_t>(table.cols));
  for (int t = 0; t < acc.rows; ++t) {
    const std::int32_t position = batch.positions[static_cast<std::size_t>(t)];
    if (position < 0 || position >= table.rows) throw BackendError("ref: position out of range");
    decode_row(table, position, row);
    for (int c = 0; c < acc.cols; ++c) row_of(acc, t)[c] += row[static_cast<std::size_t>(c)];
  }
}

void RefOps::activate(const Tensor& x, Activation act) {
  for_each(x, [&](float& y, int, int) { y = ref::activate(y, act); });
}

void RefOps::add(const Tensor& acc, const Tensor& x) {
  for_each(acc, [&](float& y, int t, int c) { y += row_of(x, t)[c]; });
}

void RefOps::multiply(const Tensor& acc, const Tensor& x, Activation act) {
  for_each(acc, [&](float& y, int t, int c) {
    y *= ref::activate(row_of(x, t)[x.cols == 1 ? 0 : c], act);
  });
}

void RefOps::scale(const Tensor& x, float factor) {
  for_each(x, [&](float& y, int, int) { y *= factor; });
}

void RefOps::clamp(const Tensor& x, float limit) {
  for_each(x, [&](float& y, int, int) { y = std::clamp(y, -limit, limit); });
}

void RefOps::softcap(const Tensor& x, float cap) {
  for_each(x, [&](float& y, int, int) { y = cap * std::tanh(y / cap); });
}

}  // namespace rbee
