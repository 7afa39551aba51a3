// Ops with recurrent state. Work is divided over sequences and channels, never over time: the order
// of additions is that of the tokens, however they are cut into steps.
#include <algorithm>

#include "backend/cpu/cpu_ops.hpp"
#include "backend/cpu/small_batch.hpp"
#include "backend/cpu/tensor_rows.hpp"

namespace rbee::cpu {
namespace {

constexpr int kUnitChannels = 64;  // channels that are computed together
constexpr int kUnitColumns = 512;  // the same where there is next to nothing to compute

// No rows for an empty tensor.
Rows rows_of(const Tensor& x, int row, int column) {
  return {x.data == nullptr ? nullptr : row_of(x, row) + column, x.stride};
}

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

Tensor CpuOps::selective_scan(const ScanInputs& in, const SelectiveScan& scan, const Batch& batch,
                              const SlotPart& state) {
  const int cols = in.x.cols;
  const Tensor out = shared_tensor(in.x.rows, cols);
  const int units = (cols + kUnitChannels - 1) / kUnitChannels;
  const std::size_t floats = SelectiveScan::state_floats(scan.state, cols);
  for_sequences(
      {batch, state, floats, units},
      {Range::of(in.x), Range::of(in.dt), Range::of(in.b), Range::of(in.c), Range::of(in.gate)},
      out, [&](const SequencePart& part, int unit) {
        const int begin = unit * kUnitChannels;
        const int n = std::min(kUnitChannels, cols - begin);
        float* const h = part.state + static_cast<std::ptrdiff_t>(begin) * scan.state;
        if (part.fresh) std::fill_n(h, n * scan.state, 0.0F);
        const ScanChannels channels{
            .x = rows_of(in.x, part.begin, begin),
            .dt = rows_of(in.dt, part.begin, begin),
            .gate = rows_of(in.gate, part.begin, begin),
            .b = rows_of(in.b, part.begin, 0),
            .c = rows_of(in.c, part.begin, 0),
            .a = vector_values(scan.a) + begin,
            .a_stride = cols,
            .d = vector_values(scan.d) + begin,
            .state_size = scan.state,
            .state = h,
            .out = row_of(out, part.begin) + begin,
            .out_stride = out.stride,
        };
        recurrent_.selective_scan(channels, part.tokens, n);
      });
  return out;
}

Tensor CpuOps::ssd_scan(const ScanInputs& in, const SsdScan& scan, const Batch& batch,
                        const SlotPart& state) {
  const Tensor out = shared_tensor(in.x.rows, in.x.cols);
  const int size = in.x.cols / scan.heads;
  const std::size_t floats = SsdScan::state_floats(scan.state, in.x.cols);
  for_sequences(
      {batch, state, floats, scan.heads},
      {Range::of(in.x), Range::of(in.dt), Range::of(in.b), Range::of(in.c), Range::of(in.gate)},
      out, [&](const SequencePart& part, int head) {
        const int begin = head * size;
        const int group = head / (scan.heads / scan.groups) * scan.state;
        float* const s = part.state + static_cast<std::ptrdiff_t>(begin) * scan.state;
        if (part.fresh) std::fill_n(s, size * scan.state, 0.0F);
        const SsdHead one{
            .x = rows_of(in.x, part.begin, begin),
            .gate = rows_of(in.gate, part.begin, begin),
            .dt = rows_of(in.dt, part.begin, head),
            .b = rows_of(in.b, part.begin, group),
            .c = rows_of(in.c, part.begin, group),
            .a = vector_values(scan.a)[head],
            .d = vector_values(scan.d)[head],
            .dt_bias = vector_values(scan.dt_bias)[head],
            .dt_min = scan.dt_min,
            .dt_max = scan.dt_max,
            .state_size = scan.state,
            .state = s,
            .out = row_of(out, part.begin) + begin,
            .out_stride = out.stride,
        };
        recurrent_.ssd_scan(one, part.tokens, size);
      });
  return out;
}

Tensor CpuOps::token_shift(const Tensor& x, const Batch& batch, const SlotPart& state) {
  const Tensor out = shared_tensor(x.rows, x.cols);
  const int units = (x.cols + kUnitColumns - 1) / kUnitColumns;
  for_sequences({batch, state, static_cast<std::size_t>(x.cols), units}, {Range::of(x)}, out,
                [&](const SequencePart& part, int unit) {
                  const int begin = unit * kUnitColumns;
                  const int n = std::min(kUnitColumns, x.cols - begin);
                  float* const kept = part.state + begin;
                  if (part.fresh) std::fill_n(kept, n, 0.0F);
                  const float* previous = kept;
                  for (int t = part.begin; t < part.begin + part.tokens; ++t) {
                    const float* current = row_of(x, t) + begin;
                    recurrent_.subtract(previous, current, n, row_of(out, t) + begin);
                    previous = current;
                  }
                  std::copy_n(previous, n, kept);
                });
  return out;
}

Tensor CpuOps::lerp(const Tensor& x, const Tensor& delta, const Weight& factors,
                    const Tensor& more) {
  const int cols = factors.cols;
  const Tensor out = is_small(x.rows) ? own_tensor(x.rows, cols) : shared_tensor(x.rows, cols);
  const Range extra = more.data != nullptr ? Range::of(more) : Range{};
  constexpr int kChunks = 4;
  worker_.before({Range::of(x), Range::of(delta), extra}, {Range::of(out)});
  const auto run = [&](int begin, int end) {
    for (int t = begin; t < end; ++t) {
      for (int first = 0; first < cols; first += x.cols) {
        recurrent_.lerp(row_of(x, t), row_of(delta, t), vector_values(factors) + first,
                        more.data != nullptr ? row_of(more, t) + first : nullptr, x.cols,
                        row_of(out, t) + first);
      }
    }
  };
  if (worker_.own().holds(out.data)) {
    run(0, out.rows);
  } else {
    worker_.split(out.rows, kChunks, run);
  }
  return out;
}

Tensor CpuOps::wkv6(const Wkv6Inputs& in, const Wkv6& wkv, const Batch& batch,
                    const SlotPart& state) {
  const int cols = in.value.cols;
  const int size = cols / wkv.heads;
  const Tensor out = shared_tensor(in.value.rows, cols);
  const std::size_t mark = worker_.mark();
  const Tensor scratch = own_tensor(1, size);
  const Range decay = in.decay.data != nullptr ? Range::of(in.decay) : Range{};
  for_sequences({batch, state, wkv_state_floats(wkv.heads, cols), wkv.heads},
                {Range::of(in.receptance), Range::of(in.key), Range::of(in.value), decay}, out,
                [&](const SequencePart& part, int head) {
                  const int begin = head * size;
                  float* const s = part.state + static_cast<std::ptrdiff_t>(begin) * size;
                  if (part.fresh) std::fill_n(s, size * size, 0.0F);
                  const Wkv6Head one{
                      .r = rows_of(in.receptance, part.begin, begin),
                      .k = rows_of(in.key, part.begin, begin),
                      .v = rows_of(in.value, part.begin, begin),
                      .decay = rows_of(in.decay, part.begin, begin),
                      .w = wkv.decay ? vector_values(wkv.decay) + begin : nullptr,
                      .u = vector_values(wkv.bonus) + begin,
                      .state = s,
                      .out = row_of(out, part.begin) + begin,
                      .out_stride = out.stride,
                      .scratch = scratch.data,
                  };
                  recurrent_.wkv6(one, part.tokens, size);
                });
  worker_.release(mark);
  return out;
}

Tensor CpuOps::wkv7(const Wkv7Inputs& in, const Wkv7& wkv, const Batch& batch,
                    const SlotPart& state) {
  const int cols = in.value.cols;
  const int size = cols / wkv.heads;
  const Tensor out = shared_tensor(in.value.rows, 2 * cols);
  const std::size_t mark = worker_.mark();
  const Tensor scratch = own_tensor(Wkv7Head::kScratchRows, size);
  const bool mixes = in.first.data != nullptr;
  for_sequences({batch, state, wkv_state_floats(wkv.heads, cols), wkv.heads},
                {Range::of(in.receptance), Range::of(in.decay), Range::of(in.key),
                 Range::of(in.value), Range::of(in.rate), mixes ? Range::of(in.first) : Range{},
                 mixes ? Range::of(in.first_gate) : Range{}},
                out, [&](const SequencePart& part, int head) {
                  const int begin = head * size;
                  float* const s = part.state + static_cast<std::ptrdiff_t>(begin) * size;
                  if (part.fresh) std::fill_n(s, size * size, 0.0F);
                  const Wkv7Head one{
                      .r = rows_of(in.receptance, part.begin, begin),
                      .decay = rows_of(in.decay, part.begin, begin),
                      .k = rows_of(in.key, part.begin, begin),
                      .v = rows_of(in.value, part.begin, begin),
                      .rate = rows_of(in.rate, part.begin, begin),
                      .first = rows_of(in.first, part.begin, begin),
                      .first_gate = rows_of(in.first_gate, part.begin, begin),
                      .key_scale = vector_values(wkv.key_scale) + begin,
                      .key_rate = vector_values(wkv.key_rate) + begin,
                      .bonus_scale = vector_values(wkv.bonus_scale) + begin,
                      .state = s,
                      .out = row_of(out, part.begin) + begin,
                      .bonus = row_of(out, part.begin) + cols + begin,
                      .out_stride = out.stride,
                      .scratch = scratch.data,
                  };
                  recurrent_.wkv7(one, part.tokens, size);
                });
  worker_.release(mark);
  return out;
}

Tensor CpuOps::kda(const KdaInputs& in, const Kda& kda, const Batch& batch, const SlotPart& state) {
  const int cols = in.value.cols;
  const int size = cols / kda.heads;
  const Tensor out = shared_tensor(in.value.rows, cols);
  const std::size_t mark = worker_.mark();
  const Tensor scratch = own_tensor(KdaHead::kScratchRows, size);
  for_sequences({batch, state, wkv_state_floats(kda.heads, cols), kda.heads},
                {Range::of(in.query), Range::of(in.key), Range::of(in.value), Range::of(in.decay),
                 Range::of(in.beta)},
                out, [&](const SequencePart& part, int head) {
                  const int begin = head * size;
                  float* const s = part.state + static_cast<std::ptrdiff_t>(begin) * size;
                  if (part.fresh) std::fill_n(s, size * size, 0.0F);
                  const KdaHead one{
                      .q = rows_of(in.query, part.begin, begin),
                      .k = rows_of(in.key, part.begin, begin),
                      .v = rows_of(in.value, part.begin, begin),
                      .decay = rows_of(in.decay, part.begin, begin),
                      .beta = rows_of(in.beta, part.begin, head),
                      .rate = vector_values(kda.rate)[head],
                      .decay_bias = vector_values(kda.decay_bias) + begin,
                      .scale = kda.scale,
                      .state = s,
                      .out = row_of(out, part.begin) + begin,
                      .out_stride = out.stride,
                      .scratch = scratch.data,
                  };
                  recurrent_.kda(one, part.tokens, size);
                });
  worker_.release(mark);
  return out;
}

}  // namespace rbee::cpu
