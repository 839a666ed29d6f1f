#include "server/app/cpu_cores.h"

#include "gtest/gtest.h"
#include "tests/server/fake_files.h"

namespace precis::server {
namespace {

constexpr char kMountV2[] = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr char kMountV1[] = "32 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n";

TEST(CpuCoresTest, ReadsTheQuotaOfACgroupV2) {
  FakeFiles files;
  files.Write("proc/self/mountinfo", kMountV2);
  files.Write("proc/self/cgroup", "0::/app\n");
  files.Write("sys/fs/cgroup/app/cpu.max", "250000 100000\n");
  EXPECT_DOUBLE_EQ(CgroupCpuQuota(files.root()), 2.5);
}

TEST(CpuCoresTest, TakesTheLeastQuotaOfTheAncestors) {
  FakeFiles files;
  files.Write("proc/self/mountinfo", kMountV2);
  files.Write("proc/self/cgroup", "0::/slice/pod/app\n");
  files.Write("sys/fs/cgroup/slice/cpu.max", "150000 100000\n");
  files.Write("sys/fs/cgroup/slice/pod/cpu.max", "max 100000\n");
  files.Write("sys/fs/cgroup/slice/pod/app/cpu.max", "400000 100000\n");
  EXPECT_DOUBLE_EQ(CgroupCpuQuota(files.root()), 1.5);
}

TEST(CpuCoresTest, HasNoQuotaWhenV2SaysMax) {
  FakeFiles files;
  files.Write("proc/self/mountinfo", kMountV2);
  files.Write("proc/self/cgroup", "0::/\n");
  files.Write("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(CgroupCpuQuota(files.root()), 0);
}

TEST(CpuCoresTest, ReadsTheQuotaOfACgroupV1) {
  FakeFiles files;
  files.Write("proc/self/mountinfo", kMountV1);
  files.Write("proc/self/cgroup", "11:memory:/app\n4:cpu,cpuacct:/app\n");
  files.Write("sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us", "50000\n");
  files.Write("sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us", "100000\n");
  EXPECT_DOUBLE_EQ(CgroupCpuQuota(files.root()), 0.5);
}

TEST(CpuCoresTest, HasNoQuotaWhenV1SaysMinusOne) {
  FakeFiles files;
  files.Write("proc/self/mountinfo", kMountV1);
  files.Write("proc/self/cgroup", "4:cpu,cpuacct:/\n");
  files.Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  files.Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CgroupCpuQuota(files.root()), 0);
}

// Docker on v1: the path in /proc/self/cgroup starts with the part of the hierarchy that is mounted.
TEST(CpuCoresTest, FindsAContainersGroupAtTheMountPoint) {
  FakeFiles files;
  files.Write("proc/self/mountinfo", "32 24 0:27 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
  files.Write("proc/self/cgroup", "4:cpu:/docker/abc\n");
  files.Write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n");
  files.Write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_DOUBLE_EQ(CgroupCpuQuota(files.root()), 3);
}

TEST(CpuCoresTest, FindsAGroupOutsideTheCgroupNamespaceAtTheMountPoint) {
  FakeFiles files;
  files.Write("proc/self/mountinfo", kMountV2);
  files.Write("proc/self/cgroup", "0::/../other\n");
  files.Write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_DOUBLE_EQ(CgroupCpuQuota(files.root()), 2);
}

TEST(CpuCoresTest, SurvivesMissingAndMalformedFiles) {
  FakeFiles files;
  EXPECT_EQ(CgroupCpuQuota(files.root()), 0);
  files.Write("proc/self/mountinfo", "nonsense\n\n1 2 - x\n");
  files.Write("proc/self/cgroup", "nonsense\n0::\n");
  EXPECT_EQ(CgroupCpuQuota(files.root()), 0);
}

TEST(CpuCoresTest, RoundsTheQuotaDownButKeepsOneCore) {
  EXPECT_EQ(UsableCores(8, 0), 8);
  EXPECT_EQ(UsableCores(8, 2.5), 2);
  EXPECT_EQ(UsableCores(8, 0.5), 1);
  EXPECT_EQ(UsableCores(2, 16), 2);
  EXPECT_GE(AffinityCores(), 1);
}

}  // namespace
}  // namespace precis::server
