// Mixture of experts of the reference backend.
#include <cmath>

#include "backend/ref/ref_math.hpp"
#include "backend/ref/ref_ops.hpp"
#include "backend/routing.hpp"

namespace rbee {

using namespace ref;

namespace {

float gate_value(float gate, float up, const MoeParams& params) {
  if (params.swiglu_limit == 0) return activate(gate, params.activation) * up;
  constexpr float kAlpha = 1.702F;
  const float limit = params.swiglu_limit;
  const float g = std::min(gate, limit);
  return g / (1 + std::exp(-kAlpha * g)) * (std::clamp(up, -limit, limit) + 1);
}

}  // namespace

void RefOps::moe_add(const Tensor& acc, const Tensor& x, const MoeParams& params) {
  const Scope scratch(*this);
  const Tensor logits = linear(x, {&params.router, 1});
  const float* bias = params.selection_bias ? vector_values(params.selection_bias).data() : nullptr;
  Router router;
  std::vector<ExpertChoice> choices(static_cast<std::size_t>(params.routing.top_k));
  std::vector<double> sum(static_cast<std::size_t>(acc.cols));
  for (int t = 0; t < x.rows; ++t) {
    const Scope token_scratch(*this);
    router.route(params.routing, {row_of(logits, t), static_cast<std::size_t>(logits.cols)}, bias,
                 choices);
    const Tensor token{row_of(x, t), 1, x.cols, x.cols};
    std::ranges::fill(sum, 0);
    for (const ExpertChoice& choice : choices) {
      const Expert& expert = params.experts[static_cast<std::size_t>(choice.expert)];
      const Tensor inner = linear(token, {&expert.gate, 1});
      const Tensor up = linear(token, {&expert.up, 1});
      for (int c = 0; c < inner.cols; ++c) {
        inner.data[c] = gate_value(inner.data[c], up.data[c], params);
      }
      const Tensor out = linear(inner, {&expert.down, 1});
      for (std::size_t c = 0; c < sum.size(); ++c) {
        sum[c] += static_cast<double>(choice.weight) * static_cast<double>(out.data[c]);
      }
    }
    for (std::size_t c = 0; c < sum.size(); ++c) row_of(acc, t)[c] += static_cast<float>(sum[c]);
  }
}

}  // namespace rbee
