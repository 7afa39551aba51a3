// Team: what the workers of one step share: the barrier they meet at and the counters they claim
// work from.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "backend/cpu/wait.hpp"

namespace rbee::cpu {

// Thrown out of a barrier when another worker has failed, to unwind forward on this one.
struct StepAborted {};

class Team {
 public:
  // most: workers of the largest step.
  explicit Team(int most);

  int size() const noexcept { return size_; }

  // Makes the team ready for a step of so many workers. None may be in one.
  void reset(int workers) noexcept;

  // Returns when all workers have come; what they wrote before is visible then, and all shares are
  // unclaimed again (phases: how many were used since the last meeting). Throws StepAborted.
  void meet(int phases);

  // Makes every worker that waits in meet, or comes there, leave with StepAborted.
  void abort() noexcept;

  // Number of barriers since the start.
  std::uint64_t meetings() const noexcept { return meetings_; }
  // How often a worker fell asleep at a barrier, in this step.
  int sleeps() const noexcept { return sleeps_.load(std::memory_order_relaxed); }

  // Shares of work between two meetings: chunk numbers 0, 1, .. of a worker's share in a phase,
  // each given out once. kPhases phases are at hand between two meetings.
  static constexpr int kPhases = 8;
  int claim(int phase, int owner) noexcept;

  // A counter for each task group of an operation, zero whenever no operation is under way.
  static constexpr int kGroupsPerWorker = 4;
  std::atomic<std::uint32_t>& group(int index) noexcept {
    return groups_[static_cast<std::size_t>(index)].value;
  }

 private:
  struct alignas(kNoSharing) Counter {
    std::atomic<std::uint32_t> value{0};
  };
  void clear_claims(int phases) noexcept;

  const int most_;
  int size_;
  std::unique_ptr<Counter[]> claims_;  // [kPhases][most_]
  std::unique_ptr<Counter[]> groups_;  // [kGroupsPerWorker * most_]
  std::uint64_t meetings_ = 0;
  alignas(kNoSharing) std::atomic<std::uint32_t> epoch_{0};
  alignas(kNoSharing) std::atomic<std::uint32_t> arrived_{0};
  alignas(kNoSharing) std::atomic<bool> aborted_{false};
  std::atomic<int> sleeps_{0};
};

}  // namespace rbee::cpu
