// cgroups(7), proc_pid_mountinfo(5). A process's group is a path in its hierarchy; where that hierarchy is mounted, and which
// part of it, is in mountinfo. In a container the path may lie outside the part that is mounted: then the mount's own root is
// the container's group.

#include "server/app/cpu_cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace precis::server {
namespace {

struct Mount {
  std::string root;                  // the part of the hierarchy that is mounted
  std::string point;                 // where
  std::string type;                  // "cgroup" or "cgroup2"
  std::vector<std::string> options;  // v1: the controllers
};

std::vector<std::string> ReadLines(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

bool Contains(const std::vector<std::string>& values, const std::string& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// "36 35 98:0 ROOT POINT OPTIONS [OPTIONAL…] - TYPE SOURCE SUPER_OPTIONS"
std::vector<Mount> CgroupMounts(const std::string& root) {
  std::vector<Mount> mounts;
  for (const std::string& line : ReadLines(root + "/proc/self/mountinfo")) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 6 || fields.end() - dash < 4) continue;
    Mount mount{fields[3], fields[4], dash[1], absl::StrSplit(dash[3], ',')};
    if (mount.type == "cgroup2" || (mount.type == "cgroup" && Contains(mount.options, "cpu"))) mounts.push_back(mount);
  }
  return mounts;
}

// The group's path below the mount point: "" or "/a/b".
std::string PathInMount(const Mount& mount, const std::string& group) {
  absl::string_view path = group;
  if (mount.root != "/" && !absl::ConsumePrefix(&path, mount.root)) return "";
  if (path == "/" || absl::StrContains(path, "..")) return "";
  return std::string(path);
}

// cpu.max: "QUOTA PERIOD", or "max PERIOD" for no limit.
double QuotaV2(const std::string& directory) {
  std::ifstream file(directory + "/cpu.max");
  double quota = 0, period = 0;
  return file >> quota >> period && quota > 0 && period > 0 ? quota / period : 0;
}

// cpu.cfs_quota_us is -1 for no limit.
double QuotaV1(const std::string& directory) {
  std::ifstream quota_file(directory + "/cpu.cfs_quota_us"), period_file(directory + "/cpu.cfs_period_us");
  double quota = 0, period = 0;
  return quota_file >> quota && period_file >> period && quota > 0 && period > 0 ? quota / period : 0;
}

// The least quota of a group and its ancestors.
double LeastQuota(const std::string& mount_point, std::string path, double (*quota_of)(const std::string&)) {
  double least = 0;
  while (true) {
    const double quota = quota_of(mount_point + path);
    if (quota > 0 && (least == 0 || quota < least)) least = quota;
    if (path.empty()) return least;
    path.resize(path.rfind('/'));
  }
}

}  // namespace

int AffinityCores() {
  // Machines with more than 1024 CPUs need a larger mask than cpu_set_t.
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(cpus));
    const size_t size = CPU_ALLOC_SIZE(static_cast<size_t>(cpus));
    const bool ok = sched_getaffinity(0, size, set) == 0;
    const int count = ok ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (ok) return std::max(1, count);
  }
  return 1;
}

double CgroupCpuQuota(const std::string& root) {
  double least = 0;
  const std::vector<Mount> mounts = CgroupMounts(root);
  // "4:cpu,cpuacct:/group" (v1) or "0::/group" (v2)
  for (const std::string& line : ReadLines(root + "/proc/self/cgroup")) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() < 3) continue;
    const bool v2 = fields[0] == "0" && fields[1].empty();
    if (!v2 && !Contains(absl::StrSplit(fields[1], ','), "cpu")) continue;
    for (const Mount& mount : mounts) {
      if ((mount.type == "cgroup2") != v2) continue;
      const double quota = LeastQuota(root + mount.point, PathInMount(mount, fields[2]), v2 ? QuotaV2 : QuotaV1);
      if (quota > 0 && (least == 0 || quota < least)) least = quota;
    }
  }
  return least;
}

int UsableCores(int affinity_cores, double quota) {
  if (quota <= 0) return std::max(1, affinity_cores);
  return std::max(1, std::min(affinity_cores, static_cast<int>(std::floor(quota))));
}

}  // namespace precis::server
