#include "backend/cpu/team.hpp"

namespace rbee::cpu {
namespace {

std::size_t product(int a, int b) {
  return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
}

}  // namespace

Team::Team(int most)
    : most_(most),
      size_(most),
      claims_(std::make_unique<Counter[]>(product(kPhases, most))),
      groups_(std::make_unique<Counter[]>(product(kGroupsPerWorker, most))) {}

void Team::reset(int workers) noexcept {
  size_ = workers;
  sleeps_.store(0, std::memory_order_relaxed);
  arrived_.store(0, std::memory_order_relaxed);
  aborted_.store(false, std::memory_order_relaxed);
  clear_claims(kPhases);
  for (int i = 0; i < kGroupsPerWorker * most_; ++i) group(i).store(0, std::memory_order_relaxed);
}

void Team::clear_claims(int phases) noexcept {
  for (int i = 0; i < phases * most_; ++i) {
    claims_[static_cast<std::size_t>(i)].value.store(0, std::memory_order_relaxed);
  }
}

void Team::meet(int phases) {
  // The epoch is read before the abort flag: a later abort changes the epoch that is waited on.
  const std::uint32_t epoch = epoch_.load(std::memory_order_acquire);
  if (aborted_.load(std::memory_order_acquire)) throw StepAborted{};
  const auto all = static_cast<std::uint32_t>(size_);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == all) {
    arrived_.store(0, std::memory_order_relaxed);
    clear_claims(phases);
    ++meetings_;
    advance(epoch_);
  } else {
    if (wait_while(epoch_, epoch, kSpinInStep)) sleeps_.fetch_add(1, std::memory_order_relaxed);
  }
  if (aborted_.load(std::memory_order_acquire)) throw StepAborted{};
}

void Team::abort() noexcept {
  aborted_.store(true, std::memory_order_release);
  advance(epoch_);
}

int Team::claim(int phase, int owner) noexcept {
  const std::size_t index = product(phase, most_) + static_cast<std::size_t>(owner);
  return static_cast<int>(claims_[index].value.fetch_add(1, std::memory_order_relaxed));
}

}  // namespace rbee::cpu
