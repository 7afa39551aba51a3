// The pool, the team and the workers: every unit of work done once, every barrier kept, failures
// passed on.
#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>

#include "backend/cpu/cpu_count.hpp"
#include "backend/cpu/memory_bandwidth.hpp"
#include "backend/cpu/test_rig.hpp"
#include "backend/cpu/thread_pool.hpp"
#include "backend/cpu/worker.hpp"

namespace rbee::cpu {
namespace {

TEST(ThreadPool, RunsEveryWorkerOnceAJob) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.size(), threads);
    std::vector<int> runs(static_cast<std::size_t>(threads));
    for (int job = 0; job < 300; ++job) {
      if (job % 100 == 50) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      pool.run([&](int worker) { ++runs[static_cast<std::size_t>(worker)]; });
    }
    for (const int count : runs) EXPECT_EQ(count, 300);
  }
}

// Workers left out of a job must not be in it, nor lost for the next.
TEST(ThreadPool, RunsAsManyAsWanted) {
  constexpr int kThreads = 4;
  ThreadPool pool(kThreads);
  for (int job = 0; job < 300; ++job) {
    const int workers = 1 + job * 7 % kThreads;
    std::vector<int> runs(kThreads);
    pool.run(workers, [&](int worker) { ++runs[static_cast<std::size_t>(worker)]; });
    for (int w = 0; w < kThreads; ++w) {
      EXPECT_EQ(runs[static_cast<std::size_t>(w)], w < workers ? 1 : 0);
    }
  }
}

TEST(Team, NobodyPassesBeforeAllHaveCome) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 200;
  ThreadPool pool(kThreads);
  Team team(kThreads);
  std::vector<int> values(kThreads);  // plain: the thread sanitizer sees a broken barrier
  pool.run([&](int worker) {
    for (int round = 0; round < kRounds; ++round) {
      values[static_cast<std::size_t>(worker)] = round;
      team.meet(0);
      EXPECT_EQ(std::accumulate(values.begin(), values.end(), 0), kThreads * round);
      team.meet(0);
    }
  });
  EXPECT_EQ(team.meetings(), std::uint64_t{2} * kRounds);
}

TEST(Team, AbortFreesThoseWhoWaitAndThoseWhoCome) {
  constexpr int kThreads = 4;
  ThreadPool pool(kThreads);
  Team team(kThreads);
  for (int round = 0; round < 50; ++round) {
    team.reset(kThreads);
    std::atomic<int> aborted{0};
    pool.run([&](int worker) {
      try {
        for (int i = 0; i < 3; ++i) team.meet(0);
        if (worker == round % kThreads) return team.abort();
        for (;;) team.meet(0);
      } catch (const StepAborted&) {
        ++aborted;
      }
    });
    EXPECT_EQ(aborted, kThreads - 1);
  }
}

class WorkerTest : public ::testing::Test {
 protected:
  static constexpr int kThreads = 4;
  WorkerTest() : shared(1 << 20), own(kThreads, std::vector<std::byte>(1 << 16)) {}

  Worker make(int index) { return {index, team, shared, own[static_cast<std::size_t>(index)]}; }

  ThreadPool pool{kThreads};
  Team team{kThreads};
  std::vector<std::byte> shared;
  std::vector<std::vector<std::byte>> own;
};

TEST_F(WorkerTest, SplitDoesEveryUnitOnce) {
  for (const int n : {0, 1, 3, 4, 17, 1000}) {
    std::vector<std::atomic<int>> done(static_cast<std::size_t>(n));
    team.reset(kThreads);
    pool.run([&](int index) {
      Worker worker = make(index);
      for (int phase = 0; phase < 3 * Team::kPhases; ++phase) {
        worker.before({}, {});
        worker.split(n, 1 + phase % 5, [&](int begin, int end) {
          for (int i = begin; i < end; ++i) ++done[static_cast<std::size_t>(i)];
        });
      }
    });
    for (const auto& count : done) EXPECT_EQ(count, 3 * Team::kPhases) << n;
  }
}

// A chain of operations on two buffers, without scopes: what one reads another has written.
TEST_F(WorkerTest, BarriersComeWhereDataIsPassedOn) {
  constexpr int kN = 512;
  auto* a = reinterpret_cast<int*>(shared.data());
  auto* b = a + kN;
  const Range range_a = Range::of(a, kN * sizeof(int));
  const Range range_b = Range::of(b, kN * sizeof(int));
  std::fill_n(a, kN, 1);
  team.reset(kThreads);
  const auto before = team.meetings();
  pool.run([&](int index) {
    Worker worker = make(index);
    for (int round = 0; round < 40; ++round) {
      worker.before({range_a}, {range_b});
      worker.split(kN, 3, [&](int begin, int end) {
        for (int i = begin; i < end; ++i) b[i] = a[kN - 1 - i] + 1;
      });
      worker.before({range_b}, {range_a});
      worker.split(kN, 3, [&](int begin, int end) {
        for (int i = begin; i < end; ++i) a[i] = b[(i + 1) % kN];
      });
    }
  });
  EXPECT_EQ(std::accumulate(a, a + kN, 0), kN * 41);
  EXPECT_EQ(team.meetings() - before, 79U);  // between the operations
}

TEST_F(WorkerTest, ReadingTogetherAndOwnMemoryNeedNoBarrier) {
  team.reset(kThreads);
  const auto before = team.meetings();
  pool.run([&](int index) {
    Worker worker = make(index);
    const Range read = Range::of(worker.shared().take(256), 256);
    const Range mine = Range::of(worker.own().take(256), 256);
    for (int i = 0; i < 5; ++i) worker.before({read, mine}, {mine});
  });
  EXPECT_EQ(team.meetings(), before);
  pool.run([&](int index) {
    Worker worker = make(index);
    const Range range = Range::of(worker.shared().take(256), 256);
    worker.before({range}, {});
    worker.before({}, {range});  // others may still read it
  });
  EXPECT_EQ(team.meetings(), before + 1);
}

TEST(CpuBackend, FiveBarriersALayerInDecode) {
  for (const int layers : {1, 4}) {
    for (const int threads : {2, 3}) {
      const auto cpu = testing::make_cpu(best_isa(), threads);
      testing::MiniLlama model(*cpu, {.layers = layers}, 8);
      testing::Sequences sequences(8);
      (void)model.run(sequences.step({{0, testing::random_tokens(5, 100, 1)}}));
      const auto before = cpu->barriers();
      (void)model.run(sequences.step({{0, {7}}}));
      // One more for the logits' norm, which reads what the last layer has written.
      EXPECT_EQ(cpu->barriers() - before, static_cast<std::uint64_t>(5 * layers + 1));
    }
  }
}

TEST(CpuBackend, AFailedStepIsReportedAndTheNextOneWorks) {
  for (const int threads : {1, 2, 4}) {
    const auto cpu = testing::make_cpu(best_isa(), threads);
    testing::MiniLlama model(*cpu, {}, 8);
    testing::Sequences sequences(8);
    const auto expected = model.run(sequences.step({{0, {1, 2, 3}}}));
    for (int failing = 0; failing < 2; ++failing) {
      std::atomic<int> calls{0};
      testing::Sequences again(8);
      const Batch batch = again.step({{0, {1, 2, 3}}});
      const auto forward = [&](Ops& ops, const Batch& b) {
        const bool fails = calls++ == failing % threads;  // one worker only
        const Tensor logits = model.forward(ops, b);
        if (fails) throw std::runtime_error("no luck");
        (void)model.forward(ops, b);
        return logits;
      };
      EXPECT_THROW(cpu->run(batch, forward), BackendError);
      testing::Sequences fresh(8);
      EXPECT_TRUE(testing::same_bits(model.run(fresh.step({{0, {1, 2, 3}}})), expected));
    }
  }
}

TEST(CpuBackend, RefusesInstructionSetsItDoesNotKnow) {
  EXPECT_THROW(CpuBackend({1, "sse9", KvType::automatic}), BackendError);
}

TEST(CpuBackend, KvTypeFollowsTheWeights) {
  const LayerState state[] = {PagedKv{2, 64}};
  const std::size_t f32 = std::size_t{kPageTokens} * 2 * 2 * 64 * 4;
  const auto page_bytes = [&](DType type, Isa isa) {
    const auto cpu = testing::make_cpu(isa, 1);
    (void)testing::pack_random(*cpu, type, 64, 64, 1, 1);
    return cpu->page_bytes(state);
  };
  EXPECT_EQ(page_bytes(DType::f32, best_isa()), f32);
  EXPECT_EQ(page_bytes(DType::bf16, Isa::base), f32);
  EXPECT_EQ(page_bytes(DType::q8_0, Isa::base), f32 / 2);
  if (isa_supported(Isa::avx512)) {
    EXPECT_EQ(page_bytes(DType::bf16, Isa::avx512), f32 / 2);
  }
}

TEST(CpuBackend, KvTypesTakeTheBitsTheyAreNamedFor) {
  const LayerState heads[] = {PagedKv{2, 64}}, odd[] = {PagedKv{1, 80}};
  const std::size_t values = std::size_t{kPageTokens} * 2 * 2 * 64;
  const auto page_bytes = [](KvType type, std::span<const LayerState> state) {
    return testing::make_cpu(Isa::base, 1, type)->page_bytes(state);
  };
  EXPECT_EQ(page_bytes(KvType::bf16, heads), values * 2);
  EXPECT_EQ(page_bytes(KvType::f16, heads), values * 2);
  EXPECT_EQ(page_bytes(KvType::q8_0, heads), values * 17 / 16);
  EXPECT_EQ(page_bytes(KvType::q4_0, heads), values * 9 / 16);
  EXPECT_EQ(page_bytes(KvType::q8_0, odd), std::size_t{kPageTokens} * 2 * 96 * 17 / 16);
}

TEST(CpuBackend, SaysHowMuchMemoryTheStateLacks) {
  const auto cpu = testing::make_cpu(Isa::base, 1);
  const LayerState state[] = {PagedKv{64, 256}};
  EXPECT_THROW(cpu->allocate_state(state, 1 << 30, 0), BackendError);
}

TEST(CpuCount, ReadsQuotas) {
  EXPECT_EQ(cores_of_quota("max 100000"), 0);
  EXPECT_EQ(cores_of_quota("200000 100000"), 2);
  EXPECT_EQ(cores_of_quota("250000 100000"), 3);
  EXPECT_EQ(cores_of_quota("-1 100000"), 0);
  EXPECT_EQ(cores_of_quota(""), 0);
  EXPECT_EQ(cores_of_quota(" "), 0);
  EXPECT_EQ(cores_of_quota("5"), 0);
  EXPECT_GE(usable_cores(), 1);
}

TEST(MemoryBandwidth, IsMeasured) { EXPECT_GT(ReadBandwidth(2, 64 << 20).measure(), 0.1); }

}  // namespace
}  // namespace rbee::cpu
