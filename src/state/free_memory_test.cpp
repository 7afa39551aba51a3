#include "state/free_memory.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace rbee {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMiB = 1 << 20;

// A made-up / with just the files that free_memory reads.
class FreeMemory : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::temp_directory_path() /
            ("rbee_free_memory_" + std::to_string(getpid()) + "_" + test->name());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }

  fs::path root_;
};

TEST_F(FreeMemory, ReadsMemAvailable) {
  write("proc/meminfo", "MemTotal:  4096 kB\nMemFree:  10 kB\nMemAvailable:  2048 kB\n");
  EXPECT_EQ(free_memory(root_), 2 * kMiB);
}

TEST_F(FreeMemory, GuessesWhenNothingIsTold) { EXPECT_EQ(free_memory(root_), 1024 * kMiB); }

TEST_F(FreeMemory, SecondVersionGroupsCountWithAllAbove) {
  write("proc/meminfo", "MemAvailable: 1048576 kB\n");
  write("proc/self/cgroup", "0::/box/worker\n");
  write("sys/fs/cgroup/box/worker/memory.max", "max\n");
  write("sys/fs/cgroup/box/worker/memory.current", "5\n");
  EXPECT_EQ(free_memory(root_), 1024 * kMiB);
  write("sys/fs/cgroup/box/memory.max", std::to_string(100 * kMiB));
  write("sys/fs/cgroup/box/memory.current", std::to_string(60 * kMiB));
  EXPECT_EQ(free_memory(root_), 40 * kMiB);
  write("sys/fs/cgroup/box/memory.stat",
        "anon 1\nfile 2\ninactive_file " + std::to_string(10 * kMiB) + "\nactive_file 3\n");
  EXPECT_EQ(free_memory(root_), 50 * kMiB);
  write("sys/fs/cgroup/box/memory.max", "1");
  EXPECT_EQ(free_memory(root_), 0u);
}

TEST_F(FreeMemory, FirstVersionGroups) {
  write("proc/meminfo", "MemAvailable: 1048576 kB\n");
  write("proc/self/cgroup", "7:cpu,cpuacct:/x\n4:hugememory:/y\n3:pids,memory:/z\n0::/\n");
  write("sys/fs/cgroup/memory/y/memory.limit_in_bytes", "1");
  write("sys/fs/cgroup/memory/y/memory.usage_in_bytes", "1");
  write("sys/fs/cgroup/memory/z/memory.limit_in_bytes", std::to_string(30 * kMiB));
  write("sys/fs/cgroup/memory/z/memory.usage_in_bytes", std::to_string(20 * kMiB));
  EXPECT_EQ(free_memory(root_), 10 * kMiB);
}

TEST_F(FreeMemory, BrokenFilesAreAsGoodAsNone) {
  write("proc/meminfo", "MemAvailable: lots\nMemAvailable:");
  write("proc/self/cgroup", "nonsense\n:\n::\n0::/../../..\n5:memory");
  EXPECT_EQ(free_memory(root_), 1024 * kMiB);
}

TEST_F(FreeMemory, ThisMachineHasSome) { EXPECT_GT(free_memory(), 16 * kMiB); }

}  // namespace
}  // namespace rbee
