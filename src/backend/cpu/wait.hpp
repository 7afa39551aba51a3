// Waiting for another worker: spin first, then sleep.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>

namespace rbee::cpu {

// Returns once word differs from old, with acquire order. Spins for about this long, then sleeps
// until advance; returns whether it slept.
bool wait_while(const std::atomic<std::uint32_t>& word, std::uint32_t old,
                std::chrono::nanoseconds spin);

// Adds one to word, with release order, and wakes all who sleep on it.
void advance(std::atomic<std::uint32_t>& word);

// Sets word, with release order, and wakes all who sleep on it.
void publish(std::atomic<std::uint32_t>& word, std::uint32_t value);

// Long enough for another worker to finish its part of an operation, short against what a
// descheduled worker costs anyway.
inline constexpr std::chrono::microseconds kSpinInStep{50};
// Between steps other threads want the core.
inline constexpr std::chrono::microseconds kSpinBetweenSteps{5};

// Atomics of different workers are this far apart: two lines, for processors that prefetch pairs.
inline constexpr std::size_t kNoSharing = 128;

}  // namespace rbee::cpu
