// Worker: one thread's share in a step. All workers of a step make the same calls in the same
// order, with equal sizes; that is what makes their memory and their barriers agree.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "backend/cpu/arena.hpp"
#include "backend/cpu/team.hpp"
#include "base/function_ref.hpp"
#include "core/tensor.hpp"

namespace rbee::cpu {

// Memory that an operation reads or writes.
struct Range {
  const std::byte* begin = nullptr;
  const std::byte* end = nullptr;

  static Range of(const void* data, std::size_t bytes) {
    const auto* begin = static_cast<const std::byte*>(data);
    return {begin, begin + bytes};
  }
  static Range of(const Tensor& t) {
    if (t.rows == 0) return of(t.data, 0);
    const auto values = static_cast<std::size_t>(t.rows - 1) * static_cast<std::size_t>(t.stride) +
                        static_cast<std::size_t>(t.cols);
    return of(t.data, values * sizeof(float));
  }
  bool overlaps(const Range& other) const noexcept {
    return begin < other.end && other.begin < end;
  }
};

class Worker {
 public:
  // shared: the same memory for all workers of the team; own: this worker's.
  Worker(int index, Team& team, std::span<std::byte> shared, std::span<std::byte> own)
      : index_(index), team_(team), shared_(shared), own_(own) {}

  int index() const noexcept { return index_; }
  int workers() const noexcept { return team_.size(); }
  Team& team() const noexcept { return team_; }

  void begin_step() noexcept;

  // Memory at the same address on every worker, and memory of this worker alone.
  Arena& shared() noexcept { return shared_; }
  Arena& own() noexcept { return own_; }
  const Arena& shared() const noexcept { return shared_; }
  const Arena& own() const noexcept { return own_; }

  std::size_t mark() const noexcept { return shared_.mark() << 32 | own_.mark(); }
  void release(std::size_t mark) noexcept {
    shared_.release(mark >> 32);
    own_.release(mark & 0xFFFFFFFF);
  }

  // To be called before an operation, or a part of one, with all the memory that any worker reads
  // and writes in it. Puts a barrier there if it is needed:
  //
  // The ranges of all operations since the last barrier are kept. Of two operations without a
  // barrier in between, workers may be in both at once. That is wrong if one of them writes what
  // the other reads or writes, and only then: so a barrier goes before an operation that reads
  // what is being written, or that writes what is being read or written. Ranges are compared by
  // address, so memory that a scope has freed and a later operation takes again is covered too.
  // Own memory is left out, nobody else touches it. The rest has the same addresses on every
  // worker, hence every worker places the same barriers. At most one split may follow each call.
  void before(std::initializer_list<Range> reads, std::initializer_list<Range> writes);

  // Divides units [0, n) among the workers and calls body(begin, end) for chunks of this one's.
  // Each worker has the same contiguous share whenever n is the same (its data may still be in its
  // cache), takes chunks of about 1/chunks of it, and then helps the next workers with theirs.
  using Body = FunctionRef<void(int begin, int end)>;
  void split(int n, int chunks, Body body);
  // The same with shares [bound(w), bound(w + 1)).
  void split(FunctionRef<int(int)> bound, int chunks, Body body);

 private:
  void meet();
  bool conflicts(const Range& range, bool writes) const noexcept;
  void note(std::initializer_list<Range> ranges, bool written) noexcept;

  static constexpr int kHelped = 8;  // workers whose shares are looked at after the own
  static constexpr std::size_t kMostPending = 32;

  struct Access {
    Range range{};
    bool written = false;
  };

  int index_;
  Team& team_;
  Arena shared_;
  Arena own_;
  int phases_ = 0;  // used since the last barrier
  std::array<Access, kMostPending> pending_{};
  std::size_t n_pending_ = 0;
};

}  // namespace rbee::cpu
