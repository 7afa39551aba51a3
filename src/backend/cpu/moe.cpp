#include "backend/cpu/moe.hpp"

#include <algorithm>

#include "backend/cpu/kernels/pack.hpp"
#include "backend/cpu/small_batch.hpp"
#include "backend/cpu/tensor_rows.hpp"
#include "backend/cpu/weight_store.hpp"

namespace rbee::cpu {
namespace {

// A worker takes this many chunks of tokens to route or convert.
constexpr int kTokenChunks = 4;

int tiles_of(int tokens) { return (tokens + kTileTokens - 1) / kTileTokens; }

Product product_of(const Linear& part, const Activations& x) {
  return {panel_matrix(part.weight), vector_values(part.bias), x, nullptr, 0};
}

Arena& arena(Worker& worker, int tokens) {
  return is_small(tokens) ? worker.own() : worker.shared();
}

// Calls body for all units here when few tokens are at hand, else for this worker's.
void repeat_or_split(Worker& worker, int tokens, int units, Worker::Body body) {
  if (is_small(tokens)) {
    body(0, units);
  } else {
    worker.split(units, kTokenChunks, body);
  }
}

}  // namespace

std::span<const ExpertChoice> Moe::choose(Worker& worker, const Tensor& logits,
                                          const MoeParams& params) {
  const auto top_k = static_cast<std::size_t>(params.routing.top_k);
  const std::size_t count = static_cast<std::size_t>(logits.rows) * top_k;
  const std::size_t bytes = count * sizeof(ExpertChoice);
  const std::span choices(reinterpret_cast<ExpertChoice*>(arena(worker, logits.rows).take(bytes)),
                          count);
  const float* bias = vector_values(params.selection_bias);
  worker.before({Range::of(logits)}, {Range::of(choices.data(), bytes)});
  repeat_or_split(worker, logits.rows, logits.rows, [&](int begin, int end) {
    for (int t = begin; t < end; ++t) {
      router_.route(params.routing, {row_of(logits, t), static_cast<std::size_t>(logits.cols)},
                    bias, choices.subspan(static_cast<std::size_t>(t) * top_k, top_k));
    }
  });
  worker.before({Range::of(choices.data(), bytes)}, {});
  return choices;
}

// Counting sort: tokens of an expert stay in their order.
void Moe::group(std::span<const ExpertChoice> choices, const MoeParams& params) {
  ends_.assign(params.experts.size() + 1, 0);
  for (const ExpertChoice& choice : choices) ++ends_[static_cast<std::size_t>(choice.expert) + 1];
  groups_.clear();
  for (std::size_t e = 0; e < params.experts.size(); ++e) {
    ends_[e + 1] += ends_[e];
    if (ends_[e + 1] == ends_[e]) continue;
    groups_.push_back({.expert = &params.experts[e], .begin = ends_[e], .end = ends_[e + 1]});
  }
  members_.resize(choices.size());
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const int token = static_cast<int>(i) / params.routing.top_k;
    int& at = ends_[static_cast<std::size_t>(choices[i].expert)];
    members_[static_cast<std::size_t>(at++)] = {token, choices[i].weight};
  }
}

void Moe::convert_tile(const Group& group, int tile, const Tensor& x, Rows rows,
                       const Activations& form, float* gathered) const {
  const int begin = tile * kTileTokens;
  const int count = std::min(kTileTokens, group.size() - begin);
  const float* from = gathered;
  std::ptrdiff_t stride = x.cols;
  if (rows == Rows::of_members) {
    from = row_of(x, group.begin + begin);
    stride = x.stride;
  } else {
    for (int i = 0; i < count; ++i) {
      const Member& member = members_[static_cast<std::size_t>(group.begin + begin + i)];
      std::copy_n(row_of(x, member.token), x.cols, gathered + i * stride);
    }
  }
  // A tile is laid out as a buffer of its own.
  std::byte* to = const_cast<std::byte*>(form.data) + matmul_.act_bytes(form.type, begin, x.cols);
  matmul_.convert(form.type, from, stride, count, 0, count, x.cols, to);
}

Range Moe::convert(Worker& worker, const Tensor& x, Rows rows, Linear Expert::*weight,
                   Activations Group::*form) {
  const auto type_of = [&](const Group& group) {
    return matmul_.act_type(panel_matrix((group.expert->*weight).weight).type);
  };
  constexpr std::size_t kAlign = Arena::kUnit;
  std::size_t bytes = 0;
  int tiles = 0;
  for (const Group& group : groups_) {
    bytes +=
        (matmul_.act_bytes(type_of(group), group.size(), x.cols) + kAlign - 1) / kAlign * kAlign;
    tiles += tiles_of(group.size());
  }
  const int tokens = static_cast<int>(members_.size());
  std::byte* buffer = arena(worker, tokens).take(bytes);
  const Range range = Range::of(buffer, bytes);
  for (Group& group : groups_) {
    const ActType type = type_of(group);
    const std::size_t size = matmul_.act_bytes(type, group.size(), x.cols);
    group.*form = {type, group.size(), x.cols, buffer, range};
    buffer += (size + kAlign - 1) / kAlign * kAlign;
  }
  const std::size_t gathered_bytes = sizeof(float) * kTileTokens * static_cast<std::size_t>(x.cols);
  auto* gathered = reinterpret_cast<float*>(worker.own().take(gathered_bytes));
  worker.before({Range::of(x)}, {range});
  repeat_or_split(worker, tokens, tiles, [&](int begin, int end) {
    int first = 0;
    for (const Group& group : groups_) {
      const int last = first + tiles_of(group.size());
      for (int tile = std::max(begin, first); tile < std::min(end, last); ++tile) {
        convert_tile(group, tile - first, x, rows, group.*form, gathered);
      }
      first = last;
    }
  });
  return range;
}

void Moe::show(Worker& worker, const Tensor& x, Rows rows, Linear Expert::*weight) const {
  if (observer_ == nullptr) return;
  worker.before({Range::of(x)}, {});
  if (worker.index() != 0) return;
  for (const Group& group : groups_) {
    const Weight& matrix = (group.expert->*weight).weight;
    if (rows == Rows::of_members) {
      observer_->inputs(matrix, {row_of(x, group.begin), group.size(), x.cols, x.stride});
      continue;
    }
    for (int i = group.begin; i < group.end; ++i) {
      float* row = row_of(x, members_[static_cast<std::size_t>(i)].token);
      observer_->inputs(matrix, {row, 1, x.cols, x.stride});
    }
  }
}

bool Moe::same_types() const {
  return std::ranges::all_of(groups_, [&](const Group& group) {
    return matmul_.act_type(panel_matrix(group.expert->gate.weight).type) ==
           matmul_.act_type(panel_matrix(group.expert->up.weight).type);
  });
}

void Moe::multiply_first(Worker& worker, const Tensor& out, const MoeParams& params) const {
  // A panel costs its reading and its products with each token; the former as much as the latter
  // with a few tokens.
  constexpr int kReading = 6;
  const auto panel_cost = [](const Group& group) {
    const std::size_t bytes = panel_matrix(group.expert->gate.weight).panel_bytes +
                              panel_matrix(group.expert->up.weight).panel_bytes;
    return static_cast<double>(bytes) * (kReading + group.size());
  };
  const int panels = panel_count(out.cols);  // of each group
  double total = 0;
  std::size_t bytes = 0;
  for (const Group& group : groups_) {
    total += panels * panel_cost(group);
    bytes +=
        static_cast<std::size_t>(panels) * panel_matrix(group.expert->gate.weight).panel_bytes * 2;
  }
  const auto bound = [&](int w) {
    double left = total * w / worker.workers();
    int before = 0;
    for (const Group& group : groups_) {
      const double cost = panel_cost(group);
      if (w < worker.workers() && left < panels * cost) {
        return before + static_cast<int>(left / cost);
      }
      left -= panels * cost;
      before += panels;
    }
    return before;
  };
  const int mean_size = static_cast<int>(members_.size() / groups_.size());
  const int chunks = chunk_count(bytes, worker.workers(), mean_size);
  worker.split(bound, chunks, [&](int begin, int end) {
    int first = 0;
    for (const Group& group : groups_) {
      const int from = std::max(begin, first) - first;
      const int to = std::min(end, first + panels) - first;
      first += panels;
      if (from >= to) continue;
      const Tensor rows{row_of(out, group.begin), group.size(), out.cols, out.stride};
      const GatedProduct product{product_of(group.expert->gate, group.gate_x),
                                 product_of(group.expert->up, group.up_x),
                                 element_function(params.activation), rows, params.swiglu_limit};
      multiply_gated_panels(worker, matmul_, vector_, product, from, to);
    }
  });
}

// Adds a group's outputs of panels [begin, end) to the rows of its tokens.
void Moe::add_columns(Worker& worker, const Group& group, int begin, int end,
                      const Tensor& acc) const {
  constexpr int kTokens = 128;
  constexpr int kPanels = 8;  // for kTokens tokens, more for fewer
  alignas(64) float buffer[kTokens * kPanels * kPanelRows];
  const Product whole = product_of(group.expert->down, group.down_x);
  const int strip = std::min(group.size(), kTokens);
  const int panels_at_once = kPanels * (kTokens / strip);
  for (int panel = begin; panel < end; panel += panels_at_once) {
    const int panels = std::min(panels_at_once, end - panel);
    for (int first = 0; first < group.size(); first += strip) {
      const int count = std::min(strip, group.size() - first);
      const Product part = part_of(matmul_, whole, {panel, panels, first, count}, buffer);
      multiply_panels(worker, matmul_, part, 0, panels, /*accumulate=*/false);
      for (int i = 0; i < count; ++i) {
        const Member& member = members_[static_cast<std::size_t>(group.begin + first + i)];
        vector_.add_scaled(member.weight, buffer + i * part.stride, part.weight.rows,
                           row_of(acc, member.token) + panel * kPanelRows);
      }
    }
  }
}

void Moe::multiply_second(Worker& worker, const Tensor& acc) const {
  const auto run = [&](int begin, int end) {
    for (const Group& group : groups_) add_columns(worker, group, begin, end, acc);
  };
  const int panels = panel_count(acc.cols);
  if (worker.own().holds(acc.data)) return run(0, panels);
  std::size_t bytes = 0;
  for (const Group& group : groups_) {
    bytes += static_cast<std::size_t>(panels) * panel_matrix(group.expert->down.weight).panel_bytes;
  }
  // Activations of all groups go by once a chunk: it should have some panels.
  constexpr int kPanels = 4;
  const int mean_size = static_cast<int>(members_.size() / groups_.size());
  const int chunks = chunk_count(bytes, worker.workers(), mean_size);
  worker.split(panels, std::clamp(panels / worker.workers() / kPanels, 1, chunks), run);
}

void Moe::run(Worker& worker, const Tensor& acc, const Tensor& x, const Tensor& logits,
              const MoeParams& params) {
  group(choose(worker, logits, params), params);
  show(worker, x, Rows::of_tokens, &Expert::gate);
  show(worker, x, Rows::of_tokens, &Expert::up);
  const Range gate_range = convert(worker, x, Rows::of_tokens, &Expert::gate, &Group::gate_x);
  Range up_range = gate_range;
  if (same_types()) {
    for (Group& group : groups_) group.up_x = group.gate_x;
  } else {
    up_range = convert(worker, x, Rows::of_tokens, &Expert::up, &Group::up_x);
  }
  const int width = params.experts.front().gate.weight.rows;
  const int stride = (width + 15) / 16 * 16;
  const std::size_t values = members_.size() * static_cast<std::size_t>(stride);
  const Tensor inner{reinterpret_cast<float*>(worker.shared().take(values * sizeof(float))),
                     static_cast<int>(members_.size()), width, stride};
  worker.before({gate_range, up_range}, {Range::of(inner)});
  multiply_first(worker, inner, params);
  show(worker, inner, Rows::of_members, &Expert::down);
  const Range down_range = convert(worker, inner, Rows::of_members, &Expert::down, &Group::down_x);
  worker.before({down_range}, {Range::of(acc)});
  multiply_second(worker, acc);
}

}  // namespace rbee::cpu
