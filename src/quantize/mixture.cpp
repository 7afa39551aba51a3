#include "quantize/mixture.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/load_error.hpp"
#include "checkpoint/describe.hpp"

namespace rbee {
namespace {

constexpr std::array kMixtures{
    MixtureInfo{Mixture::f32, "f32", DType::f32, 0},
    MixtureInfo{Mixture::f16, "f16", DType::f16, 1},
    MixtureInfo{Mixture::bf16, "bf16", DType::bf16, 32},
    MixtureInfo{Mixture::q8_0, "q8_0", DType::q8_0, 7},
    MixtureInfo{Mixture::q4_0, "q4_0", DType::q4_0, 2},
    MixtureInfo{Mixture::q4_1, "q4_1", DType::q4_1, 3},
    MixtureInfo{Mixture::q5_0, "q5_0", DType::q5_0, 8},
    MixtureInfo{Mixture::q5_1, "q5_1", DType::q5_1, 9},
    MixtureInfo{Mixture::q2_k, "q2_k", DType::q2_k, 10},
    MixtureInfo{Mixture::q2_k_s, "q2_k_s", DType::q2_k, 21},
    MixtureInfo{Mixture::q3_k_s, "q3_k_s", DType::q3_k, 11},
    MixtureInfo{Mixture::q3_k_m, "q3_k_m", DType::q3_k, 12},
    MixtureInfo{Mixture::q3_k_l, "q3_k_l", DType::q3_k, 13},
    MixtureInfo{Mixture::q4_k_s, "q4_k_s", DType::q4_k, 14},
    MixtureInfo{Mixture::q4_k_m, "q4_k_m", DType::q4_k, 15},
    MixtureInfo{Mixture::q5_k_s, "q5_k_s", DType::q5_k, 16},
    MixtureInfo{Mixture::q5_k_m, "q5_k_m", DType::q5_k, 17},
    MixtureInfo{Mixture::q6_k, "q6_k", DType::q6_k, 18},
    MixtureInfo{Mixture::iq1_s, "iq1_s", DType::iq1_s, 24},
    MixtureInfo{Mixture::iq1_m, "iq1_m", DType::iq1_m, 31},
    MixtureInfo{Mixture::iq2_xxs, "iq2_xxs", DType::iq2_xxs, 19},
    MixtureInfo{Mixture::iq2_xs, "iq2_xs", DType::iq2_xs, 20},
    MixtureInfo{Mixture::iq2_s, "iq2_s", DType::iq2_xs, 28},
    MixtureInfo{Mixture::iq2_m, "iq2_m", DType::iq2_s, 29},
    MixtureInfo{Mixture::iq3_xxs, "iq3_xxs", DType::iq3_xxs, 23},
    MixtureInfo{Mixture::iq3_xs, "iq3_xs", DType::iq3_s, 22},
    MixtureInfo{Mixture::iq3_s, "iq3_s", DType::iq3_s, 26},
    MixtureInfo{Mixture::iq3_m, "iq3_m", DType::iq3_s, 27},
    MixtureInfo{Mixture::iq4_nl, "iq4_nl", DType::iq4_nl, 25},
    MixtureInfo{Mixture::iq4_xs, "iq4_xs", DType::iq4_xs, 30},
    MixtureInfo{Mixture::mxfp4, "mxfp4", DType::mxfp4, 38},
    MixtureInfo{Mixture::mxfp4_moe, "mxfp4_moe", DType::mxfp4, 38},
    MixtureInfo{Mixture::nvfp4, "nvfp4", DType::nvfp4, 39},
    MixtureInfo{Mixture::tq1_0, "tq1_0", DType::tq1_0, 36},
    MixtureInfo{Mixture::tq2_0, "tq2_0", DType::tq2_0, 37},
    MixtureInfo{Mixture::q1_0, "q1_0", DType::q1_0, 40},
    MixtureInfo{Mixture::q2_0, "q2_0", DType::q2_0, 41},
};

// What a tensor does, as far as rounding it matters more or less.
enum class Role : std::uint8_t {
  output,
  embedding,
  query,
  key,
  value,
  attention_output,
  gate_or_up,
  down,
  other,
};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

// One matrix for queries, keys and values counts as one for values.
bool is_joint(std::string_view name) { return contains(name, "attn_qkv.weight"); }

Role role_of(std::string_view name) {
  if (name == "output.weight") return Role::output;
  if (name == "token_embd.weight") return Role::embedding;
  if (is_joint(name) || contains(name, "attn_kv_b.weight") || contains(name, "attn_v.weight")) {
    return Role::value;
  }
  if (contains(name, "attn_k.weight")) return Role::key;
  if (contains(name, "attn_q.weight")) return Role::query;
  if (contains(name, "attn_output.weight")) return Role::attention_output;
  if (contains(name, "ffn_down")) return Role::down;
  if (contains(name, "ffn_up") || contains(name, "ffn_gate")) return Role::gate_or_up;
  return Role::other;
}

// The number in "blk.12.", or 0.
int layer_of(std::string_view name) {
  constexpr std::string_view kMarker = "blk.";
  constexpr int kLimit = 1'000'000;
  int layer = 0;
  if (!name.starts_with(kMarker)) return 0;
  for (const char c : name.substr(kMarker.size())) {
    if (c < '0' || c > '9' || layer >= kLimit) break;
    layer = 10 * layer + (c - '0');
  }
  return layer;
}

bool may_quantize(std::string_view name, std::span<const std::int64_t> shape) {
  constexpr std::array<std::string_view, 22> kNever{
      "_norm.weight",      "ffn_gate_inp.weight", "position_embd.weight", "token_types.weight",
      "ssm_conv1d",        "shortconv.conv",      "indexer.k_proj",       "indexer.q_proj",
      "time_mix_first",    "time_mix_w0.",        "time_mix_w1.",         "time_mix_w2.",
      "time_mix_v0.",      "time_mix_v1.",        "time_mix_v2.",         "time_mix_a0.",
      "time_mix_a1.",      "time_mix_a2.",        "time_mix_g1.",         "time_mix_g2.",
      "time_mix_decay_w1", "time_mix_decay_w2"};
  if (shape.size() < 2 || !name.ends_with("weight") || contains(name, "_lerp_")) return false;
  // GGUF does not count leading dimensions of one: such a tensor is a vector.
  if (std::all_of(shape.begin(), shape.end() - 1, [](std::int64_t d) { return d == 1; })) {
    return false;
  }
  return std::none_of(kNever.begin(), kNever.end(),
                      [name](std::string_view part) { return contains(name, part); });
}

// The layers whose rounding is felt most: the first and last eighth, and every third between.
bool is_sensitive(int layer, int layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

struct Choice {
  Mixture mixture;
  const MixtureModel& model;
  DType type;  // of most tensors
  int layer;

  bool is(std::initializer_list<Mixture> any) const {
    return std::find(any.begin(), any.end(), mixture) != any.end();
  }
  bool sensitive() const { return is_sensitive(layer, model.layers); }
  bool first(int share) const { return layer < model.layers / share; }
  bool falcon() const { return model.architecture == "falcon"; }
  // The mixtures of about two bits and fewer have rules of their own.
  bool of_two_bits() const {
    return is({Mixture::iq1_s, Mixture::iq1_m, Mixture::iq2_xxs, Mixture::iq2_xs, Mixture::iq2_s,
               Mixture::iq2_m});
  }
  bool upper_two_bits() const { return is({Mixture::iq2_s, Mixture::iq2_m}); }
};

using enum Mixture;

DType output_type(const Choice& at, std::int64_t cols) {
  if (at.is({mxfp4, mxfp4_moe}) || at.falcon() || cols % info(at.type).block != 0) {
    return DType::q8_0;
  }
  if (at.of_two_bits() || at.is({iq3_xxs})) return DType::q5_k;
  return at.type == DType::q8_0 ? DType::q8_0 : DType::q6_k;
}

DType embedding_type(const Choice& at) {
  if (at.upper_two_bits() || at.is({iq3_xxs})) return DType::iq3_s;
  if (at.of_two_bits()) return DType::q2_k;
  return at.is({tq1_0, tq2_0, q2_0}) ? DType::q4_k : at.type;
}

DType two_bit_type(const Choice& at, Role role) {
  const DType more = at.upper_two_bits() ? DType::iq3_s : DType::q2_k;
  switch (role) {
    case Role::value:
      return at.model.query_groups >= 4 || at.model.experts >= 4 ? DType::q4_k : more;
    case Role::key:
      return at.model.experts == 8 ? DType::q4_k : at.type;
    case Role::down:
      return at.first(8) ? more : at.type;
    case Role::attention_output:
      if (at.model.experts == 8) return DType::q5_k;
      if (at.is({iq1_s, iq1_m})) return DType::iq2_xxs;
      return at.upper_two_bits() ? DType::iq3_s : at.type;
    default:
      return at.type;
  }
}

DType value_type_alone(const Choice& at) {
  const bool grouped = at.model.query_groups >= 4;
  switch (at.mixture) {
    case q2_k:
      return grouped ? DType::q4_k : DType::q3_k;
    case q2_k_s:
      return grouped ? DType::q4_k : at.type;
    case q3_k_m:
      return at.layer < 2 ? DType::q5_k : DType::q4_k;
    case q3_k_l:
      return DType::q5_k;
    case iq3_xxs:
      if (grouped) return DType::q4_k;
      return at.model.importance ? DType::iq3_xxs : DType::iq3_s;
    case iq3_xs:
    case iq3_s:
      return grouped ? DType::q4_k : at.type;
    case iq3_m:
      return DType::q4_k;
    case iq4_nl:
    case iq4_xs:
      return grouped ? DType::q5_k : at.type;
    case q4_k_m:
    case q5_k_m:
      return at.sensitive() ? DType::q6_k : at.type;
    case q4_k_s:
      return at.layer < 4 ? DType::q5_k : at.type;
    default:
      return at.type;
  }
}

DType value_type(const Choice& at) {
  constexpr int kLayersOf70b = 80;  // whose eight query heads share a small matrix of values
  if (at.model.experts == 8) return DType::q8_0;
  const DType type = value_type_alone(at);
  const bool small = at.model.layers == kLayersOf70b && at.model.query_groups > 1;
  return small && (type == DType::q3_k || type == DType::q4_k) ? DType::q5_k : type;
}

DType query_type(const Choice& at) {
  if (at.is({iq3_xs})) return DType::iq3_xxs;
  return at.is({iq3_xxs}) ? DType::iq2_s : at.type;
}

DType down_type(const Choice& at) {
  switch (at.mixture) {
    case q2_k:
      return DType::q3_k;
    case q2_k_s:
      return at.first(8) ? DType::q4_k : at.type;
    case q3_k_m:
      if (at.first(16)) return DType::q5_k;
      return !at.falcon() || at.sensitive() ? DType::q4_k : DType::q3_k;
    case q3_k_l:
      return at.falcon() ? DType::q4_k : DType::q5_k;
    case q4_k_m:
      if (at.falcon() && !at.first(16)) return at.sensitive() ? DType::q5_k : DType::q4_k;
      return at.falcon() || at.sensitive() ? DType::q6_k : at.type;
    case q5_k_m:
      return at.sensitive() ? DType::q6_k : at.type;
    case iq3_xxs:
      if (at.model.importance) return at.type;
      return at.first(8) ? DType::q4_k : DType::q3_k;
    case iq3_m:
      return at.first(8) || (at.model.experts == 8 && at.sensitive()) ? DType::q4_k : at.type;
    case iq4_nl:
    case iq4_xs:
      return at.first(8) && !at.model.importance ? DType::q5_k : at.type;
    case q4_k_s:
      return at.first(8) && !at.falcon() ? DType::q5_k : at.type;
    case q4_0:
      return at.first(8) && at.model.importance ? DType::q4_1 : at.type;
    case q5_0:
      return at.first(8) && at.model.importance ? DType::q5_1 : at.type;
    default:
      return at.type;
  }
}

DType attention_output_type(const Choice& at) {
  if (at.falcon()) return at.is({q3_k_l}) ? DType::q4_k : at.type;
  if (at.model.experts == 8) {
    const bool more = at.is(
        {q2_k, q3_k_s, q3_k_m, iq3_xxs, iq3_xs, iq3_s, iq3_m, iq4_nl, iq4_xs, q4_k_s, q4_k_m});
    return more ? DType::q5_k : at.type;
  }
  if (at.is({q2_k})) return DType::q3_k;
  if (at.is({iq3_xxs})) return DType::iq3_s;
  if (at.is({q3_k_m, iq3_m})) return DType::q4_k;
  return at.is({q3_k_l}) ? DType::q5_k : at.type;
}

DType chosen_type(const Choice& at, std::string_view name, std::int64_t cols) {
  const Role role = role_of(name);
  if (role == Role::output || (role == Role::embedding && !at.model.own_output)) {
    return output_type(at, cols);
  }
  if (at.is({mxfp4_moe})) return contains(name, "_exps.") ? DType::mxfp4 : DType::q8_0;
  if (at.is({mxfp4})) return role == Role::embedding ? DType::q8_0 : DType::mxfp4;
  if (role == Role::embedding) return embedding_type(at);
  if (at.of_two_bits()) return two_bit_type(at, role);
  switch (role) {
    case Role::value:
      return value_type(at);
    case Role::key:
      if (at.model.experts == 8) return DType::q8_0;
      return query_type(at);
    case Role::query:
      return query_type(at);
    case Role::gate_or_up:
      // The middle three quarters of the layers.
      if (!at.is({iq3_xs}) || at.first(8) || at.layer >= 7 * at.model.layers / 8) return at.type;
      return DType::iq3_xxs;
    case Role::down:
      return down_type(at);
    case Role::attention_output:
      return attention_output_type(at);
    default:
      return at.type;
  }
}

// Another type where blocks of the first do not fill a row.
DType fitting(DType type, std::int64_t cols) {
  const auto fits = [cols](DType t) { return cols % info(t).block == 0; };
  if (fits(type)) return type;
  DType other = DType::f16;
  switch (type) {
    case DType::q2_k:
    case DType::q3_k:
    case DType::tq1_0:
    case DType::tq2_0:
    case DType::q2_0:
    case DType::q1_0:
    case DType::nvfp4:
      other = DType::q4_0;
      break;
    case DType::iq1_s:
    case DType::iq1_m:
    case DType::iq2_xxs:
    case DType::iq2_xs:
    case DType::iq2_s:
    case DType::iq3_xxs:
    case DType::iq3_s:
    case DType::iq4_xs:
      other = DType::iq4_nl;
      break;
    case DType::q4_k:
      other = DType::q5_0;
      break;
    case DType::q5_k:
      other = DType::q5_1;
      break;
    case DType::q6_k:
      other = DType::q8_0;
      break;
    default:
      break;
  }
  return fits(other) ? other : DType::f16;
}

}  // namespace

std::span<const MixtureInfo> all_mixtures() noexcept { return kMixtures; }

const MixtureInfo& info(Mixture mixture) noexcept {
  return *std::find_if(kMixtures.begin(), kMixtures.end(),
                       [mixture](const MixtureInfo& one) { return one.mixture == mixture; });
}

std::optional<Mixture> mixture_from_name(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (lower == "q3_k" || lower == "q4_k" || lower == "q5_k") lower += "_m";
  for (const MixtureInfo& one : kMixtures) {
    if (one.name == lower) return one.mixture;
  }
  return std::nullopt;
}

std::string mixture_names() {
  std::string names;
  for (const MixtureInfo& one : kMixtures) {
    if (!names.empty()) names += ", ";
    names += one.name;
  }
  return names;
}

MixtureModel MixtureModel::read(const Checkpoint& checkpoint) {
  constexpr Key kLayers{"num_hidden_layers|n_layer|n_layers|num_layers", "block_count"};
  constexpr Key kHeads{"num_attention_heads|n_head|n_heads", "attention.head_count"};
  constexpr Key kKeyHeads{"num_key_value_heads|num_kv_heads|n_head_kv", "attention.head_count_kv"};
  constexpr Key kExperts{"num_local_experts|n_routed_experts|num_experts", "expert_count"};
  // Of a list, one for each layer, the largest; 0 if there is none.
  const auto largest = [&checkpoint](const Key& key) {
    const auto values = checkpoint.integers(key);
    const auto most = values && !values->empty() ? *std::ranges::max_element(*values) : 0;
    return static_cast<int>(std::clamp<std::int64_t>(most, 0, 1 << 20));
  };
  MixtureModel model;
  const std::string& architecture = checkpoint.architecture();
  const bool falcon = architecture == "falcon" || architecture == "FalconForCausalLM" ||
                      architecture == "RWForCausalLM";
  model.architecture = falcon ? "falcon" : architecture;
  model.layers = largest(kLayers);
  model.experts = largest(kExperts);
  const int key_heads = largest(kKeyHeads);
  if (key_heads > 0) model.query_groups = std::max(1, largest(kHeads) / key_heads);
  for (const char* name : {"output.weight", "lm_head.weight", "embed_out.weight"}) {
    model.own_output |= checkpoint.find(name) != nullptr;
  }
  return model;
}

DType type_for(Mixture mixture, const MixtureModel& model, std::string_view name,
               std::span<const std::int64_t> shape) {
  if (!may_quantize(name, shape)) return DType::f32;
  const DType type = info(mixture).type;
  if (!info(type).quantised) return type;
  const Choice at{mixture, model, type, layer_of(name)};
  return fitting(chosen_type(at, name, shape.back()), shape.back());
}

void require_no_importance(Mixture mixture, DType type, std::string_view name) {
  constexpr std::array kFewBits{DType::iq1_s,  DType::iq1_m, DType::iq2_xxs,
                                DType::iq2_xs, DType::iq2_s, DType::iq3_xxs};
  const Role role = role_of(name);
  if (role == Role::output || role == Role::embedding) return;
  if (std::ranges::find(kFewBits, type) == kFewBits.end() &&
      (mixture != Mixture::q2_k_s || type != DType::q2_k)) {
    return;
  }
  throw LoadError(std::string(info(mixture).name), "tensor " + in_quotes(name),
                  "the importance of its columns (--imatrix), without which " +
                      std::string(info(type).name) + " is too coarse",
                  "none");
}

}  // namespace rbee
