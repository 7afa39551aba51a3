// Ops with recurrent state. Work is divided over sequences and channels, never over time: the order
// of additions is that of the tokens, however they are cut into steps.
#include <algorithm>

#include "backend/cpu/cpu_ops.hpp"
#include "backend/cpu/tensor_rows.hpp"

namespace rbee::cpu {
namespace {

constexpr int kUnitChannels = 64;  // channels that are computed together

}  // namespace

void CpuOps::for_sequences(const Recurrence& op, std::initializer_list<Range> reads,
                           const Tensor& out,
                           FunctionRef<void(const SequencePart&, int unit)> body) {
  constexpr int kChunks = 4;
  const Batch& batch = op.batch;
  const SlotLayer& layer = cache_.slots(op.part.state_layer, op.part.offset + op.floats);
  worker_.before(reads, {Range::of(out), Range::of(layer.memory.data(), layer.memory.size())});
  worker_.split(batch.n_seqs() * op.units, kChunks, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const auto s = static_cast<std::size_t>(i / op.units);
      const int first = batch.seq_begin[s];
      const int tokens = batch.seq_begin[s + 1] - first;
      if (tokens == 0) continue;
      const bool fresh = batch.positions[static_cast<std::size_t>(first)] == 0;
      body({first, tokens, layer.slot(batch.slots[s]) + op.part.offset, fresh}, i % op.units);
    }
  });
  forget(Range::of(out));
}

Tensor CpuOps::short_conv(const Tensor& x, const ShortConv& conv, const Batch& batch,
                          const SlotPart& state) {
  const Tensor out = shared_tensor(x.rows, x.cols);
  const ElementFunction function = element_function(conv.act);
  const int units = (x.cols + kUnitChannels - 1) / kUnitChannels;
  const std::size_t floats = ShortConv::state_floats(conv.width, x.cols);
  for_sequences({batch, state, floats, units}, {Range::of(x)}, out,
                [&](const SequencePart& part, int unit) {
                  const int begin = unit * kUnitChannels;
                  const int n = std::min(kUnitChannels, x.cols - begin);
                  float* const kept = part.state + begin;
                  for (int w = 0; part.fresh && w < conv.width - 1; ++w) {
                    std::fill_n(kept + static_cast<std::ptrdiff_t>(w) * x.cols, n, 0.0F);
                  }
                  const Convolution rows{
                      .x = row_of(x, part.begin) + begin,
                      .x_stride = x.stride,
                      .state = kept,
                      .taps = vector_values(conv.taps) + begin,
                      .bias = conv.bias ? vector_values(conv.bias) + begin : nullptr,
                      .channels = x.cols,
                      .width = conv.width,
                      .out = row_of(out, part.begin) + begin,
                      .out_stride = out.stride,
                  };
                  recurrent_.convolve(rows, part.tokens, n);
                  for (int t = 0; conv.act != Activation::identity && t < part.tokens; ++t) {
                    vector_.activate(function, n, row_of(out, part.begin + t) + begin);
                  }
                });
  return out;
}

}  // namespace rbee::cpu
