#include "backend/cpu/team_size.hpp"

#include <algorithm>

namespace rbee::cpu {

int TeamSize::choose(int tokens) noexcept {
  if (tokens != tokens_) {  // steps of another size take another time: begin again
    tokens_ = tokens;
    window_ = {};
    trial_ = 0;
  }
  if (tokens > kFewTokens) return most_;
  return trial_ > 0 ? trial_ : size_;
}

void TeamSize::note(double seconds, int sleeps) noexcept {
  if (tokens_ > kFewTokens || most_ == 1) return;
  ++window_.steps;
  window_.seconds += seconds;
  window_.sleeps += sleeps;
  since_trial_ += seconds;
  if (trial_ > 0) {
    if (window_.steps == kTrialSteps) judge_trial();
  } else if (window_.steps == kWindowSteps) {
    judge_window();
  }
}

int TeamSize::change() const noexcept { return std::max(1, bold_ ? size_ / 2 : size_ / 4); }

void TeamSize::judge_window() noexcept {
  usual_ = window_.mean();
  const bool sleepy = window_.sleeps >= kManySleeps * kWindowSteps;
  window_ = {};
  if (since_trial_ < pause_) return;
  if (sleepy && size_ > 1) {
    trial_ = size_ - change();
  } else if (size_ < most_) {
    trial_ = std::min(most_, size_ + change());
  }
}

void TeamSize::judge_trial() noexcept {
  if (window_.mean() < kGain * usual_) {
    size_ = trial_;
    pause_ = kFirstPause;
  } else {
    pause_ = std::min(2 * pause_, kLongestPause);
  }
  bold_ = !bold_;
  trial_ = 0;
  since_trial_ = 0;
  window_ = {};
}

}  // namespace rbee::cpu
