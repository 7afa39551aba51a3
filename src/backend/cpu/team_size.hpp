// TeamSize: how many workers take part in a step.
//
// Workers that meet a hundred and fifty times a step are as fast as the slowest: when another
// process keeps one core busy, two workers can be several times slower than one. So where workers
// are seen to sleep at barriers, fewer of them are tried for a few steps, and kept when the steps
// took less time; later more are tried again. Results do not depend on it. Steps of many tokens
// are divided so finely, for so long, that all workers always help.
#pragma once

namespace rbee::cpu {

class TeamSize {
 public:
  explicit TeamSize(int most) : most_(most), size_(most) {}

  // Workers for the next step.
  int choose(int tokens) noexcept;

  // How long the chosen step took, and how often one of its workers fell asleep in it.
  void note(double seconds, int sleeps) noexcept;

 private:
  struct Window {
    int steps = 0;
    double seconds = 0;
    int sleeps = 0;
    double mean() const noexcept { return seconds / steps; }
  };

  static constexpr int kFewTokens = 8;         // steps of at most this are watched
  static constexpr int kWindowSteps = 16;      // steps that are judged together
  static constexpr int kTrialSteps = 6;        // of another size, to compare
  static constexpr int kManySleeps = 2;        // a step: workers wait for a core, not for work
  static constexpr double kGain = 0.9;         // share of the time that is worth a change
  static constexpr double kFirstPause = 0.05;  // seconds between trials, doubled ..
  static constexpr double kLongestPause = 3;   // .. up to this when they fail

  // How many workers a trial adds or leaves out: a quarter and half in turn.
  int change() const noexcept;
  void judge_window() noexcept;
  void judge_trial() noexcept;

  int most_;
  int size_;       // of ordinary steps
  int trial_ = 0;  // size that is being tried; 0: none
  bool bold_ = false;
  int tokens_ = 0;
  Window window_{};
  double usual_ = 0;  // seconds of a step in the last full window
  double pause_ = kFirstPause;
  double since_trial_ = 0;  // seconds
};

}  // namespace rbee::cpu
