#include "backend/cpu/worker.hpp"

#include <algorithm>

namespace rbee::cpu {

void Worker::begin_step() noexcept {
  shared_.reset();
  own_.reset();
  phases_ = 0;
  n_pending_ = 0;
}

void Worker::meet() {
  if (team_.size() > 1) team_.meet(phases_);
  phases_ = 0;
  n_pending_ = 0;
}

bool Worker::conflicts(const Range& range, bool writes) const noexcept {
  const auto end = pending_.begin() + static_cast<std::ptrdiff_t>(n_pending_);
  return std::any_of(pending_.begin(), end, [&](const Access& earlier) {
    return (writes || earlier.written) && earlier.range.overlaps(range);
  });
}

void Worker::note(std::initializer_list<Range> ranges, bool written) noexcept {
  for (const Range& range : ranges) {
    if (!own_.holds(range.begin)) pending_[n_pending_++] = {range, written};
  }
}

void Worker::before(std::initializer_list<Range> reads, std::initializer_list<Range> writes) {
  const auto clash = [&](std::initializer_list<Range> ranges, bool written) {
    return std::any_of(ranges.begin(), ranges.end(), [&](const Range& range) {
      return !own_.holds(range.begin) && conflicts(range, written);
    });
  };
  const bool full =
      n_pending_ + reads.size() + writes.size() > kMostPending || phases_ == Team::kPhases;
  if (full || clash(reads, false) || clash(writes, true)) meet();
  note(reads, false);
  note(writes, true);
}

void Worker::split(int n, int chunks, Body body) {
  const auto bound = [n, workers = workers()](int worker) {
    return static_cast<int>(std::int64_t{n} * worker / workers);
  };
  split(bound, chunks, body);
}

void Worker::split(FunctionRef<int(int)> bound, int chunks, Body body) {
  const int n = workers();
  if (n == 1) {
    if (bound(1) > 0) body(0, bound(1));
    return;
  }
  const int phase = phases_++;
  for (int i = 0; i < std::min(n, 1 + kHelped); ++i) {
    const int owner = (index_ + i) % n;
    const int end = bound(owner + 1);
    const int begin = bound(owner);
    const int chunk = std::max(1, (end - begin + chunks - 1) / chunks);
    while (begin < end) {
      const int at = begin + team_.claim(phase, owner) * chunk;
      if (at >= end) break;
      body(at, std::min(at + chunk, end));
    }
  }
}

}  // namespace rbee::cpu
