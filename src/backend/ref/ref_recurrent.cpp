// Ops with recurrent state of the reference backend: token by token, as the formulas say.
#include <algorithm>
#include <vector>

#include "backend/ref/ref_math.hpp"
#include "backend/ref/ref_ops.hpp"

namespace rbee {

using namespace ref;

float* RefOps::slot(const Batch& batch, int seq, const SlotPart& part, std::size_t floats) {
  const auto index = static_cast<std::size_t>(part.state_layer);
  if (part.state_layer < 0 || index >= state_.size() ||
      part.offset + floats > state_[index].slot_floats) {
    throw BackendError("ref: a state layer is lacking or has too small slots");
  }
  const auto s = static_cast<std::size_t>(seq);
  float* const data = state_[index].data.get() +
                      static_cast<std::size_t>(batch.slots[s]) * state_[index].slot_floats +
                      part.offset;
  const int begin = batch.seq_begin[s];
  const bool fresh =
      begin < batch.seq_begin[s + 1] && batch.positions[static_cast<std::size_t>(begin)] == 0;
  if (fresh) std::fill_n(data, floats, 0.0F);
  return data;
}

Tensor RefOps::short_conv(const Tensor& x, const ShortConv& conv, const Batch& batch,
                          const SlotPart& state) {
  const Tensor out = make(x.rows, x.cols);
  const auto channels = static_cast<std::size_t>(x.cols);
  const auto kept = static_cast<std::size_t>(conv.width - 1);
  const auto taps = vector_values(conv.taps);
  for (int s = 0; s < batch.n_seqs(); ++s) {
    const std::size_t floats = ShortConv::state_floats(conv.width, x.cols);
    float* const memory = slot(batch, s, state, floats);
    for (int t = batch.seq_begin[static_cast<std::size_t>(s)];
         t < batch.seq_begin[static_cast<std::size_t>(s) + 1]; ++t) {
      std::vector<float> inputs(memory, memory + floats);  // [width][channels], the oldest first
      inputs.insert(inputs.end(), row_of(x, t), row_of(x, t) + x.cols);
      for (std::size_t c = 0; c < channels; ++c) {
        double sum = conv.bias ? static_cast<double>(vector_values(conv.bias)[c]) : 0;
        for (std::size_t w = 0; w <= kept; ++w) {
          sum += static_cast<double>(taps[w * channels + c]) *
                 static_cast<double>(inputs[w * channels + c]);
        }
        row_of(out, t)[c] = ref::activate(static_cast<float>(sum), conv.act);
      }
      std::copy_n(inputs.data() + channels, floats, memory);
    }
  }
  return out;
}

}  // namespace rbee
