// What a layer keeps between steps. The whole vocabulary of state: a Model declares one LayerState
// per layer.
#pragma once
#include <cstddef>
#include <variant>

namespace rbee {

// Tokens per page of the key/value cache. One page id stands for the same page in every layer.
inline constexpr int kPageTokens = 64;

// Keys and values of each token; grows by pages.
struct PagedKv {
  int n_kv_heads = 0;
  int head_dim = 0;
  int window = 0;  // keys a query can see, itself included; 0: all
  // 0: pages are those of the batch's tables. Else the sequence's slot holds so many pages, which
  // are used in turn: its page j is number j % ring_pages of them (see with_rings).
  int ring_pages = 0;
};

// One row for each token, shared by all heads: the latent that their keys and values are made of,
// and the part of the keys that is rotated (multi-head latent attention; DeepSeek-V2, 2024,
// arXiv:2405.04434). Grows by pages.
struct PagedLatent {
  int latent_dim = 0;
  int rope_dim = 0;
};

// A fixed number of bytes per sequence, whatever its length.
struct Recurrent {
  std::size_t bytes = 0;
};

using LayerState = std::variant<PagedKv, PagedLatent, Recurrent>;

}  // namespace rbee
