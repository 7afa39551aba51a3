// Merges as files list them: each with a rank of its own.
#pragma once
#include <vector>

#include "tokenizer/bpe.hpp"

namespace rbee {

// The merges of a vocabulary in their order. Vocabularies of ranked tokens (tiktoken) join any two
// that make a token, at its rank: of these, for each token, the one that its own text comes to.
std::vector<Merges::Merge> canonical_merges(const Bpe& bpe);

}  // namespace rbee
