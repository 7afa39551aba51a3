// Arena: memory of one step, handed out from both ends. What comes from the front is given back in
// the reverse order; what comes from the back stays until the step ends.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>

#include "backend/backend.hpp"

namespace rbee::cpu {

class Arena {
 public:
  static constexpr std::size_t kUnit = 64;  // alignment, and the unit of marks

  explicit Arena(std::span<std::byte> memory)
      : memory_(memory.first(memory.size() / kUnit * kUnit)), back_(memory_.size()) {}

  void reset() noexcept {
    front_ = 0;
    back_ = memory_.size();
  }

  std::byte* take(std::size_t bytes) {
    const std::size_t at = front_;
    front_ += checked(bytes);
    note_use();
    return memory_.data() + at;
  }

  std::byte* take_for_step(std::size_t bytes) {
    back_ -= checked(bytes);
    note_use();
    return memory_.data() + back_;
  }

  std::size_t mark() const noexcept { return front_ / kUnit; }
  void release(std::size_t mark) noexcept { front_ = mark * kUnit; }
  const std::byte* front() const noexcept { return memory_.data() + front_; }

  bool holds(const void* p) const noexcept {
    const auto* byte = static_cast<const std::byte*>(p);
    return byte >= memory_.data() && byte < memory_.data() + memory_.size();
  }

  std::size_t most_used() const noexcept { return most_used_; }

 private:
  std::size_t checked(std::size_t bytes) const {
    if (bytes > back_ - front_ || back_ - front_ - bytes < kUnit) {
      throw BackendError("the step needs more scratch memory: " + std::to_string(bytes) +
                         " bytes wanted, " + std::to_string(back_ - front_) + " of " +
                         std::to_string(memory_.size()) + " left");
    }
    return (bytes + kUnit - 1) / kUnit * kUnit;
  }
  void note_use() noexcept { most_used_ = std::max(most_used_, front_ + (memory_.size() - back_)); }

  std::span<std::byte> memory_;
  std::size_t front_ = 0;
  std::size_t back_;
  std::size_t most_used_ = 0;
};

}  // namespace rbee::cpu
