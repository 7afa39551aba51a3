// Stepper: runs a model step by step without the engine, for tests. Page tables are made by hand;
// pages and slots are handed out in a scattered order, and given back by reset.
#pragma once
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <span>
#include <vector>

#include "backend/backend.hpp"
#include "model/model.hpp"

namespace rbee::testing {

// A row of logits for each token of a piece.
using Logits = std::vector<std::vector<float>>;

class Stepper {
 public:
  struct Sequence {
    std::vector<std::int32_t> pages;
    int slot = -1;  // from its first step on, where the model has recurrent layers
    int length = 0;
  };
  // Tokens that one sequence adds in a step.
  struct Piece {
    Sequence* sequence;
    std::span<const std::int32_t> tokens;
  };

  static constexpr int kSlots = 8;

  // Allocates the backend's state: pages and slots, as far as the model has use for them.
  Stepper(Backend& backend, const Model& model, int n_pages)
      : backend_(backend),
        model_(model),
        recurrent_(backend.slot_bytes(model.info().state) > 0),
        free_(scattered(backend.page_bytes(model.info().state) > 0 ? n_pages : 0)),
        free_slots_(scattered(recurrent_ ? kSlots : 0)),
        paged_(!free_.empty()) {
    backend.allocate_state(model.info().state, static_cast<int>(free_.size()),
                           static_cast<int>(free_slots_.size()));
  }

  // One step over all pieces: the logits of every token, piece by piece. Stops a test that runs
  // out of pages or slots with std::out_of_range.
  std::vector<Logits> step(std::span<const Piece> pieces) {
    std::vector<std::int32_t> tokens, positions, seq_begin{0}, kv_len, pages, page_begin{0}, slots,
        rows;
    for (const Piece& piece : pieces) {
      for (const std::int32_t token : piece.tokens) {
        rows.push_back(static_cast<std::int32_t>(tokens.size()));
        tokens.push_back(token);
        positions.push_back(piece.sequence->length++);
      }
      grow(*piece.sequence);
      seq_begin.push_back(static_cast<std::int32_t>(tokens.size()));
      kv_len.push_back(piece.sequence->length);
      pages.insert(pages.end(), piece.sequence->pages.begin(), piece.sequence->pages.end());
      page_begin.push_back(static_cast<std::int32_t>(pages.size()));
      if (recurrent_) slots.push_back(piece.sequence->slot);
    }
    const Batch batch{tokens, positions, seq_begin, kv_len, pages, page_begin, slots, rows};
    const auto values =
        backend_.run(batch, [&](Ops& ops, const Batch& b) { return model_.forward(ops, b); });
    return split(values, pieces);
  }

  // Feeds tokens of one sequence in chunks (0: all at once); the logits of every token.
  Logits feed(Sequence& sequence, std::span<const std::int32_t> tokens, int chunk = 0) {
    const std::size_t most = chunk == 0 ? tokens.size() : static_cast<std::size_t>(chunk);
    Logits all;
    for (; !tokens.empty(); tokens = tokens.subspan(std::min(most, tokens.size()))) {
      const Piece piece{&sequence, tokens.first(std::min(most, tokens.size()))};
      Logits rows = std::move(step({&piece, 1}).front());
      std::move(rows.begin(), rows.end(), std::back_inserter(all));
    }
    return all;
  }

  void reset(Sequence& sequence) {
    free_.insert(free_.end(), sequence.pages.begin(), sequence.pages.end());
    if (sequence.slot >= 0) free_slots_.push_back(sequence.slot);
    sequence = {};
  }

 private:
  // 0 .. n - 1; from the end odd ones come before even ones.
  static std::vector<std::int32_t> scattered(int n) {
    std::vector<std::int32_t> ids;
    for (int step = 0; step < 2; ++step) {
      for (int id = step; id < n; id += 2) ids.push_back(id);
    }
    return ids;
  }

  void grow(Sequence& sequence) {
    if (recurrent_ && sequence.slot < 0) {
      sequence.slot = free_slots_.at(free_slots_.size() - 1);
      free_slots_.pop_back();
    }
    while (paged_ && static_cast<int>(sequence.pages.size()) * kPageTokens < sequence.length) {
      sequence.pages.push_back(free_.at(free_.size() - 1));
      free_.pop_back();
    }
  }

  std::vector<Logits> split(std::span<const float> values, std::span<const Piece> pieces) const {
    const auto vocab = static_cast<std::size_t>(model_.info().vocab_size);
    std::vector<Logits> all;
    for (const Piece& piece : pieces) {
      Logits& rows = all.emplace_back();
      for (std::size_t i = 0; i < piece.tokens.size(); ++i, values = values.subspan(vocab)) {
        rows.emplace_back(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(vocab));
      }
    }
    return all;
  }

  Backend& backend_;
  const Model& model_;
  bool recurrent_;
  std::vector<std::int32_t> free_;
  std::vector<std::int32_t> free_slots_;
  bool paged_;
};

}  // namespace rbee::testing
