#include "convert/gguf_layout.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace rbee {
namespace {

bool has(const std::string& name, std::string_view part) { return name.find(part) != name.npos; }

}  // namespace

GgufLayout::GgufLayout(const Family& family, std::string architecture,
                       const NotingCheckpoint& checkpoint)
    : architecture_(std::move(architecture)),
      pairs_rows_(family.pairs_rows_in_gguf),
      heads_(checkpoint.integer_note("attention.head_count")),
      kv_heads_(checkpoint.integer_note("attention.head_count_kv")),
      head_dim_(checkpoint.integer_note("attention.key_length")),
      groups_(checkpoint.integer_note("ssm.group_count")) {}

std::function<float(float)> GgufLayout::value_change(const std::string& name) const {
  if (name.ends_with(".ssm_a")) return [](float v) { return -std::exp(v); };  // of its logarithm
  // The share of the previous token, in place of that of the current one.
  if (is("rwkv5") && has(name, "_lerp_")) return [](float v) { return 1 - v; };
  return {};
}

std::function<std::int64_t(std::int64_t)> GgufLayout::row_place(const std::string& name) const {
  if (!pairs_rows_) return {};
  const bool fused = has(name, ".attn_qkv.");
  if (!fused && !has(name, ".attn_q.") && !has(name, ".attn_k.")) return {};
  const std::int64_t d = head_dim_;
  const std::int64_t rotated = d * (fused ? heads_ + kv_heads_ : std::max(heads_, kv_heads_));
  return [d, rotated](std::int64_t r) {
    if (r >= rotated) return r;
    const std::int64_t in_head = r % d;
    return r - in_head + in_head % 2 * (d / 2) + in_head / 2;
  };
}

std::vector<std::int64_t> GgufLayout::shape(const std::string& name,
                                            std::vector<std::int64_t> shape) const {
  const std::int64_t last = shape.back();
  if (has(name, ".ssm_conv1d_")) return {1, shape.front(), 1, last};
  if (has(name, ".ssm_conv1d.weight")) return {shape.front(), last};
  if (is("kimi-linear") && name.ends_with(".ssm_a")) {
    std::erase(shape, 1);
    return {1, 1, shape.empty() ? 1 : shape.front(), 1};
  }
  if (is("mamba2") && (name.ends_with(".ssm_a") || name.ends_with(".ssm_d"))) return {last, 1};
  if (is("mamba2") && has(name, ".ssm_norm.")) return {groups_, last / groups_};
  if (has(name, "_lerp_fused.")) return {shape.front(), 1, 1, last};
  if (has(name, ".time_mix_r_k.")) return {shape.front() * last};
  // [1, 1, C]
  if (std::all_of(shape.begin(), shape.end() - 1, [](std::int64_t n) { return n == 1; }) &&
      shape.size() > 2) {
    return {last};
  }
  return shape;
}

bool GgufLayout::swaps_last_two(const std::string& name,
                                const std::vector<std::int64_t>& shape) const {
  return has(name, ".time_mix_w2.") && shape.size() == 3;
}

}  // namespace rbee
