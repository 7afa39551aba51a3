// Ops with recurrent state of the reference backend: token by token, as the formulas say.
#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/ref/ref_math.hpp"
#include "backend/ref/ref_ops.hpp"

namespace rbee {

using namespace ref;

namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

double at(const Weight& vector, int i) {
  return static_cast<double>(vector_values(vector)[static_cast<std::size_t>(i)]);
}
double at(const Tensor& x, int row, int col) { return static_cast<double>(row_of(x, row)[col]); }

// One channel of one token: N values of h, stride apart.
double scan_channel(const ScanInputs& in, const SelectiveScan& scan, int t, int channel, float* h) {
  const double x = at(in.x, t, channel);
  const double step = softplus(at(in.dt, t, channel));
  double y = at(scan.d, channel) * x;
  for (int n = 0; n < scan.state; ++n) {
    float& value = h[n * in.x.cols];
    const double decay = std::exp(step * at(scan.a, n * in.x.cols + channel));
    value = static_cast<float>(decay * static_cast<double>(value) + step * at(in.b, t, n) * x);
    y += at(in.c, t, n) * static_cast<double>(value);
  }
  return y;
}

// One head of one token; s is its state, [P][N].
void ssd_head(const ScanInputs& in, const SsdScan& scan, int t, int head, float* s, float* out) {
  const int size = in.x.cols / scan.heads;
  const int first = head / (scan.heads / scan.groups) * scan.state;  // of the group's b and c
  const double raw = softplus(at(in.dt, t, head) + at(scan.dt_bias, head));
  const double step =
      std::clamp(raw, static_cast<double>(scan.dt_min), static_cast<double>(scan.dt_max));
  const double decay = std::exp(step * at(scan.a, head));
  for (int p = 0; p < size; ++p) {
    const double x = at(in.x, t, head * size + p);
    double y = at(scan.d, head) * x;
    for (int n = 0; n < scan.state; ++n) {
      float& value = s[p * scan.state + n];
      value = static_cast<float>(decay * static_cast<double>(value) +
                                 step * x * at(in.b, t, first + n));
      y += at(in.c, t, first + n) * static_cast<double>(value);
    }
    out[p] = static_cast<float>(y);
  }
}

// One head of one token, whose columns begin at first; s is its state, [k][v].
void wkv6_head(const Wkv6Inputs& in, const Wkv6& wkv, int t, int first, int size, float* s,
               float* out) {
  for (int v = 0; v < size; ++v) {
    double y = 0;
    for (int k = 0; k < size; ++k) {
      float& value = s[k * size + v];
      const double kv = at(in.key, t, first + k) * at(in.value, t, first + v);
      const double decay =
          wkv.decay ? at(wkv.decay, first + k) : std::exp(-std::exp(at(in.decay, t, first + k)));
      y += at(in.receptance, t, first + k) *
           (at(wkv.bonus, first + k) * kv + static_cast<double>(value));
      value = static_cast<float>(decay * static_cast<double>(value) + kv);
    }
    out[v] = static_cast<float>(y);
  }
}

// What one head of one token brings to Wkv7.
struct Wkv7Head {
  std::vector<double> w, kappa, a, k, v;
  double bonus = 0;

  Wkv7Head(const Wkv7Inputs& in, const Wkv7& wkv, int t, int first, int size) {
    double squares = 0;
    for (int i = first; i < first + size; ++i) {
      const double key = at(in.key, t, i);
      w.push_back(std::exp(-std::exp(-0.5) * sigmoid(at(in.decay, t, i))));
      a.push_back(sigmoid(at(in.rate, t, i)));
      kappa.push_back(key * at(wkv.key_scale, i));
      squares += kappa.back() * kappa.back();
      k.push_back(key * (1 + (a.back() - 1) * at(wkv.key_rate, i)));
      v.push_back(at(in.value, t, i));
      if (in.first.data != nullptr) {
        v.back() += (at(in.first, t, i) - v.back()) * sigmoid(at(in.first_gate, t, i));
      }
      bonus += at(in.receptance, t, i) * k.back() * at(wkv.bonus_scale, i);
    }
    for (double& value : kappa) value /= std::max(std::sqrt(squares), 1e-12);
  }
};

// s: [v][k]; r: the head's receptance.
void wkv7_head(const Wkv7Head& head, const float* r, float* s, float* out, float* bonus) {
  const std::size_t size = head.w.size();
  for (std::size_t v = 0; v < size; ++v) {
    float* const row = s + v * size;
    double removed = 0;
    for (std::size_t k = 0; k < size; ++k) removed += static_cast<double>(row[k]) * head.kappa[k];
    double y = 0;
    for (std::size_t k = 0; k < size; ++k) {
      row[k] = static_cast<float>(static_cast<double>(row[k]) * head.w[k] -
                                  removed * head.kappa[k] * head.a[k] + head.v[v] * head.k[k]);
      y += static_cast<double>(row[k]) * static_cast<double>(r[k]);
    }
    out[v] = static_cast<float>(y);
    bonus[v] = static_cast<float>(head.bonus * head.v[v]);
  }
}

// One head of one token of Kda, whose columns begin at first; s is its state, [k][v].
void kda_head(const KdaInputs& in, const Kda& kda, int t, int first, int size, float* s,
              float* out) {
  constexpr double kEps = 1e-6;
  const int head = first / size;
  double q_squares = kEps, k_squares = kEps;
  for (int i = first; i < first + size; ++i) {
    q_squares += at(in.query, t, i) * at(in.query, t, i);
    k_squares += at(in.key, t, i) * at(in.key, t, i);
  }
  std::vector<double> k, w;
  for (int i = first; i < first + size; ++i) {
    k.push_back(at(in.key, t, i) / std::sqrt(k_squares));
    w.push_back(
        std::exp(at(kda.rate, head) * softplus(at(in.decay, t, i) + at(kda.decay_bias, i))));
  }
  const double b = sigmoid(at(in.beta, t, head));
  for (int v = 0; v < size; ++v) {
    double found = 0, y = 0;
    const auto value = [&](int j) -> float& { return s[j * size + v]; };
    for (int j = 0; j < size; ++j) {
      const auto index = static_cast<std::size_t>(j);
      value(j) = static_cast<float>(w[index] * static_cast<double>(value(j)));
      found += k[index] * static_cast<double>(value(j));
    }
    const double change = b * (at(in.value, t, first + v) - found);
    for (int j = 0; j < size; ++j) {
      value(j) = static_cast<float>(static_cast<double>(value(j)) +
                                    k[static_cast<std::size_t>(j)] * change);
      y += at(in.query, t, first + j) * static_cast<double>(value(j));
    }
    out[v] = static_cast<float>(y * static_cast<double>(kda.scale) / std::sqrt(q_squares));
  }
}

// Calls body(token, state) for every token, sequence by sequence.
template <class Slot, class Body>
void each_token(const Batch& batch, const Slot& slot, const Body& body) {
  for (int s = 0; s < batch.n_seqs(); ++s) {
    float* const memory = slot(s);
    const int end = batch.seq_begin[static_cast<std::size_t>(s) + 1];
    for (int t = batch.seq_begin[static_cast<std::size_t>(s)]; t < end; ++t) body(t, memory);
  }
}

}  // namespace

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
  const std::size_t floats = ShortConv::state_floats(conv.width, x.cols);
  each_token(
      batch, [&](int s) { return slot(batch, s, state, floats); },
      [&](int t, float* memory) {
        std::vector<float> inputs(memory, memory + floats);  // [width][channels], oldest first
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
      });
  return out;
}

Tensor RefOps::selective_scan(const ScanInputs& in, const SelectiveScan& scan, const Batch& batch,
                              const SlotPart& state) {
  const Tensor out = make(in.x.rows, in.x.cols);
  const std::size_t floats = SelectiveScan::state_floats(scan.state, in.x.cols);
  each_token(
      batch, [&](int s) { return slot(batch, s, state, floats); },
      [&](int t, float* h) {
        for (int c = 0; c < out.cols; ++c) {
          row_of(out, t)[c] = static_cast<float>(scan_channel(in, scan, t, c, h + c));
        }
      });
  multiply(out, in.gate, Activation::silu);
  return out;
}

Tensor RefOps::ssd_scan(const ScanInputs& in, const SsdScan& scan, const Batch& batch,
                        const SlotPart& state) {
  const Tensor out = make(in.x.rows, in.x.cols);
  const int size = in.x.cols / scan.heads;
  each_token(
      batch,
      [&](int s) { return slot(batch, s, state, SsdScan::state_floats(scan.state, in.x.cols)); },
      [&](int t, float* memory) {
        for (int h = 0; h < scan.heads; ++h) {
          ssd_head(in, scan, t, h, memory + h * size * scan.state, row_of(out, t) + h * size);
        }
      });
  multiply(out, in.gate, Activation::silu);
  return out;
}

Tensor RefOps::token_shift(const Tensor& x, const Batch& batch, const SlotPart& state) {
  const Tensor out = make(x.rows, x.cols);
  each_token(
      batch, [&](int s) { return slot(batch, s, state, static_cast<std::size_t>(x.cols)); },
      [&](int t, float* previous) {
        for (int c = 0; c < x.cols; ++c) row_of(out, t)[c] = previous[c] - row_of(x, t)[c];
        std::copy_n(row_of(x, t), x.cols, previous);
      });
  return out;
}

Tensor RefOps::lerp(const Tensor& x, const Tensor& delta, const Weight& factors,
                    const Tensor& more) {
  const Tensor out = make(x.rows, factors.cols);
  for (int t = 0; t < out.rows; ++t) {
    for (int i = 0; i < out.cols; ++i) {
      const int c = i % x.cols;
      const double factor = at(factors, i) + (more.data != nullptr ? at(more, t, i) : 0);
      row_of(out, t)[i] = static_cast<float>(at(x, t, c) + at(delta, t, c) * factor);
    }
  }
  return out;
}

Tensor RefOps::wkv6(const Wkv6Inputs& in, const Wkv6& wkv, const Batch& batch,
                    const SlotPart& state) {
  const Tensor out = make(in.value.rows, in.value.cols);
  const int size = out.cols / wkv.heads;
  each_token(
      batch, [&](int s) { return slot(batch, s, state, wkv_state_floats(wkv.heads, out.cols)); },
      [&](int t, float* memory) {
        for (int first = 0; first < out.cols; first += size) {
          wkv6_head(in, wkv, t, first, size, memory + first * size, row_of(out, t) + first);
        }
      });
  return out;
}

Tensor RefOps::wkv7(const Wkv7Inputs& in, const Wkv7& wkv, const Batch& batch,
                    const SlotPart& state) {
  const int cols = in.value.cols;
  const Tensor out = make(in.value.rows, 2 * cols);
  const int size = cols / wkv.heads;
  each_token(
      batch, [&](int s) { return slot(batch, s, state, wkv_state_floats(wkv.heads, cols)); },
      [&](int t, float* memory) {
        for (int first = 0; first < cols; first += size) {
          float* const y = row_of(out, t) + first;
          wkv7_head(Wkv7Head(in, wkv, t, first, size), row_of(in.receptance, t) + first,
                    memory + first * size, y, y + cols);
        }
      });
  return out;
}

Tensor RefOps::kda(const KdaInputs& in, const Kda& kda, const Batch& batch, const SlotPart& state) {
  const Tensor out = make(in.value.rows, in.value.cols);
  const int size = out.cols / kda.heads;
  each_token(
      batch, [&](int s) { return slot(batch, s, state, wkv_state_floats(kda.heads, out.cols)); },
      [&](int t, float* memory) {
        for (int first = 0; first < out.cols; first += size) {
          kda_head(in, kda, t, first, size, memory + first * size, row_of(out, t) + first);
        }
      });
  return out;
}

}  // namespace rbee
