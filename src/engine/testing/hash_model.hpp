// HashModel and HashBackend: a model whose logits are a hash of every token before and its place,
// read back through the page table and the recurrent slot, so that a wrong page, position, slot or
// a missed token changes the answer. The backend also checks each Batch. For tests.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.hpp"
#include "engine/request.hpp"
#include "model/model.hpp"
#include "sampling/random.hpp"
#include "sampling/sampler.hpp"

namespace rbee::testing {

inline constexpr int kHashVocab = 97;
inline constexpr std::int32_t kPoison = 96;  // logits after it are NaN; the model never says it

// What the model remembers of a text: a sum over its tokens (kept in pages) and a chain (kept in a
// slot).
struct TextHash {
  std::uint64_t sum = 0;
  std::uint64_t chain = 0;

  static std::uint64_t cell(std::int32_t token, int position) {
    return mix64(static_cast<std::uint64_t>(token) * 1000003u +
                 static_cast<std::uint64_t>(position) + 1);
  }
  void add_cell(std::uint64_t cell, int position) {
    sum += mix64(cell + static_cast<std::uint64_t>(position));
  }
  void add_chain(std::int32_t token) {
    chain = mix64(chain + static_cast<std::uint64_t>(token) + 17);
  }
  void fill_logits(std::int32_t last_token, std::span<float> row) const {
    for (std::size_t id = 0; id < row.size(); ++id) {
      row[id] = static_cast<float>(mix64(sum + chain * 3 + id) >> 44) * 0x1p-17f;  // 0 .. 8
    }
    row[kPoison] = -1000;
    if (last_token == kPoison) row[3] = std::numeric_limits<float>::quiet_NaN();
  }
};

class HashModel final : public Model {
 public:
  explicit HashModel(int max_context, bool with_slots = true, int context_limit = 0) {
    info_ = {.n_layers = 1,
             .hidden_size = 2,
             .vocab_size = kHashVocab,
             .max_context = max_context,
             .context_limit = context_limit,
             .state = {PagedKv{.n_kv_heads = 1, .head_dim = 2, .window = 0}}};
    if (with_slots) info_.state.push_back(Recurrent{8});
  }
  const ModelInfo& info() const override { return info_; }
  Tensor forward(Ops&, const Batch&) const override { return {}; }

 private:
  ModelInfo info_;
};

class HashBackend final : public Backend {
 public:
  static constexpr std::size_t kPageBytes = 1024;

  // Called on the engine thread before each step; may block, or throw.
  std::function<void(const Batch&)> before_step;
  std::atomic<bool> wrong_size{false};  // give logits of a wrong size
  int another_every = 0;  // at each so manieth position the logits are those of another model

  std::string name() const override { return "hash"; }
  Weight pack(const HostMatrix&) override { return {}; }
  Weight pack_vector(std::span<const float>) override { return {}; }
  std::size_t packed_bytes(DType, int, int) const override { return 0; }
  std::size_t page_bytes(std::span<const LayerState>) const override { return kPageBytes; }
  std::size_t slot_bytes(std::span<const LayerState> layers) const override {
    return layers.size() > 1 ? sizeof(std::uint64_t) : 0;
  }
  MemoryUse memory() const override { return {}; }

  void allocate_state(std::span<const LayerState>, int n_pages, int n_slots) override {
    cells_.assign(static_cast<std::size_t>(n_pages) * kPageTokens, 0xdead);
    slots_.assign(static_cast<std::size_t>(n_slots), 0xbeef);
  }

  std::span<const float> run(const Batch& batch, Forward) override {
    if (before_step) before_step(batch);
    check(batch);
    logits_.resize(batch.logit_rows.size() * kHashVocab);
    for (int s = 0; s < batch.n_seqs(); ++s) run_sequence(batch, s);
    if (wrong_size) logits_.push_back(0);
    return logits_;
  }

 private:
  static void require(bool condition, const char* what) {
    if (!condition) throw BackendError(std::string("bad batch: ") + what);
  }

  void check(const Batch& b) const {
    const int n_seqs = b.n_seqs();
    require(n_seqs > 0, "empty");
    require(b.positions.size() == b.tokens.size(), "positions");
    require(b.seq_begin.size() == static_cast<std::size_t>(n_seqs) + 1, "seq_begin");
    require(b.page_begin.size() == static_cast<std::size_t>(n_seqs) + 1, "page_begin");
    require(b.seq_begin[0] == 0 && b.seq_begin[n_seqs] == b.n_tokens(), "seq_begin ends");
    require(b.page_begin[n_seqs] == static_cast<int>(b.pages.size()), "page_begin ends");
    require(b.slots.size() == (slots_.empty() ? 0u : b.kv_len.size()), "slots");
    std::set<std::int32_t> seen(b.pages.begin(), b.pages.end());
    require(seen.size() == b.pages.size(), "a page given twice");
    require(seen.empty() || (*seen.begin() >= 0 && static_cast<std::size_t>(*seen.rbegin()) <
                                                       cells_.size() / kPageTokens),
            "page range");
    require(std::set<std::int32_t>(b.slots.begin(), b.slots.end()).size() == b.slots.size(),
            "a slot given twice");
    for (int s = 0; s < n_seqs; ++s) {
      const int n = b.seq_begin[s + 1] - b.seq_begin[s];
      require(n > 0 && n <= b.kv_len[s], "kv_len");
      require((b.page_begin[s + 1] - b.page_begin[s] - 1) * kPageTokens < b.kv_len[s] &&
                  (b.page_begin[s + 1] - b.page_begin[s]) * kPageTokens >= b.kv_len[s],
              "number of pages");
      for (int i = 0; i < n; ++i) {
        require(b.positions[b.seq_begin[s] + i] == b.kv_len[s] - n + i, "position");
      }
    }
    for (std::size_t r = 1; r < b.logit_rows.size(); ++r) {
      require(b.logit_rows[r] > b.logit_rows[r - 1], "logit_rows");
    }
  }

  void run_sequence(const Batch& b, int s) {
    const auto cell = [&](int position) -> std::uint64_t& {
      const std::size_t page = b.pages[b.page_begin[s] + position / kPageTokens];
      return cells_[page * kPageTokens + position % kPageTokens];
    };
    std::uint64_t no_slot = 0;
    std::uint64_t& slot = slots_.empty() ? no_slot : slots_.at(b.slots[s]);
    for (int row = b.seq_begin[s]; row < b.seq_begin[s + 1]; ++row) {
      const int position = b.positions[row];
      cell(position) = TextHash::cell(b.tokens[row], position);
      TextHash hash{.sum = 0, .chain = position == 0 ? 0 : slot};
      hash.add_chain(b.tokens[row]);
      slot = hash.chain;
      if (slots_.empty()) hash.chain = 0;
      for (std::size_t r = 0; r < b.logit_rows.size(); ++r) {
        if (b.logit_rows[r] != row) continue;
        for (int p = 0; p <= position; ++p) hash.add_cell(cell(p), p);
        if (another_every > 0 && position % another_every == 0) hash.sum += 12345;
        hash.fill_logits(b.tokens[row], std::span(logits_).subspan(r * kHashVocab, kHashVocab));
      }
    }
  }

  std::vector<std::uint64_t> cells_;
  std::vector<std::uint64_t> slots_;
  std::vector<float> logits_;
};

// The answer to a request, worked out by the plainest loop there is. with_slots as in HashModel.
inline std::vector<std::int32_t> expected_answer(const GenerationRequest& request, int max_context,
                                                 bool with_slots = true) {
  std::vector<std::int32_t> tokens = request.prompt;
  const int n_prompt = static_cast<int>(tokens.size());
  Sampler sampler(request.sampling, n_prompt, request.sampling.seed.value_or(0));
  SamplerScratch scratch;
  std::array<float, kHashVocab> row{};
  while (
      static_cast<int>(tokens.size()) < max_context &&
      (request.max_tokens < 0 || static_cast<int>(tokens.size()) - n_prompt < request.max_tokens)) {
    TextHash hash;
    for (int p = 0; p < static_cast<int>(tokens.size()); ++p) {
      hash.add_cell(TextHash::cell(tokens[p], p), p);
      if (with_slots) hash.add_chain(tokens[p]);
    }
    hash.fill_logits(tokens.back(), row);
    const auto picked = sampler.pick(row, tokens, scratch);
    if (!picked) break;
    bool ends = false;
    for (const std::int32_t id : request.end_ids) ends |= id == *picked;
    if (ends) break;
    tokens.push_back(*picked);
  }
  return {tokens.begin() + n_prompt, tokens.end()};
}

}  // namespace rbee::testing
