#include "convert/canonical_merges.hpp"

#include <algorithm>

namespace rbee {
namespace {

// The two parts that a token is made of by merges of lower ranks alone; an absent merge when its
// bytes do not come to two.
Merges::Merge last_merge(const Bpe& bpe, std::int32_t token, std::uint32_t rank) {
  std::vector<std::int32_t> parts;
  for (const char byte : bpe.vocabulary().text(token)) {
    const auto id = bpe.vocabulary().find({&byte, 1});
    if (!id) return {-1, -1, token, rank};
    parts.push_back(*id);
  }
  while (parts.size() > 2) {
    Merges::Target best;
    std::size_t place = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const Merges::Target target = bpe.merges().find(parts[i], parts[i + 1]);
      if (target.rank < rank && target.rank < best.rank) best = target, place = i;
    }
    if (best.rank == Merges::kNoRank) return {-1, -1, token, rank};
    parts[place] = best.result;
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
  if (parts.size() < 2) return {-1, -1, token, rank};
  return {parts[0], parts[1], token, rank};
}

}  // namespace

std::vector<Merges::Merge> canonical_merges(const Bpe& bpe) {
  std::vector<Merges::Merge> all = bpe.merges().all();
  const auto shared = std::ranges::adjacent_find(all, {}, &Merges::Merge::rank);
  if (shared == all.end() || !bpe.options().bytes) return all;
  std::vector<Merges::Merge> merges;
  std::uint32_t before = Merges::kNoRank;
  for (const Merges::Merge& merge : all) {
    if (merge.rank == before) continue;
    before = merge.rank;
    const Merges::Merge one = last_merge(bpe, merge.result, merge.rank);
    if (one.left >= 0) merges.push_back(one);
  }
  return merges;
}

}  // namespace rbee
