#include "backend/cpu/team_size.hpp"

#include <gtest/gtest.h>

namespace rbee::cpu {
namespace {

// Steps on a machine where other processes keep some of the cores busy.
struct Machine {
  int cores;
  int busy;

  double seconds(int workers) const {
    const double alone = 0.004 / workers;
    return workers > cores - busy ? alone * 10 : alone;
  }
  int sleeps(int workers) const { return workers > cores - busy && workers > 1 ? 60 : 0; }
};

int run(TeamSize& size, const Machine& machine, int steps, int tokens = 1) {
  int workers = 0;
  for (int i = 0; i < steps; ++i) {
    workers = size.choose(tokens);
    size.note(machine.seconds(workers), machine.sleeps(workers));
  }
  return workers;
}

TEST(TeamSize, AnIdleMachineUsesAllWorkersAlways) {
  TeamSize size(8);
  for (int i = 0; i < 2000; ++i) EXPECT_EQ(run(size, {8, 0}, 1), 8);
}

TEST(TeamSize, GivesWayToABusyNeighbourAndComesBack) {
  for (const int cores : {2, 8}) {
    TeamSize size(cores);
    run(size, {cores, 0}, 100);
    run(size, {cores, cores / 2}, 400);
    int few = 0;  // most steps run on the cores that are left, the others are trials
    for (int i = 0; i < 1000; ++i) few += run(size, {cores, cores / 2}, 1) == cores / 2 ? 1 : 0;
    EXPECT_GT(few, 900) << cores;
    run(size, {cores, 0}, 4000);
    EXPECT_EQ(run(size, {cores, 0}, 1), cores);
  }
}

TEST(TeamSize, LongStepsUseAllWorkers) {
  TeamSize size(2);
  run(size, {2, 1}, 500);
  EXPECT_EQ(size.choose(512), 2);
  size.note(1, 1000);
  EXPECT_EQ(size.choose(1), 1);
}

TEST(TeamSize, KeepsItsWorkersWhenFewerAreNoFaster) {
  TeamSize size(2);
  int fewer = 0;
  for (int i = 0; i < 5000; ++i) {  // sleepy, but each worker is worth it
    const int workers = size.choose(1);
    fewer += workers == 1 ? 1 : 0;
    size.note(workers == 2 ? 0.010 : 0.015, workers == 2 ? 30 : 0);
  }
  EXPECT_LT(fewer, 200);
}

}  // namespace
}  // namespace rbee::cpu
