#ifndef PRECIS_SERVER_APP_CPU_CORES_H_
#define PRECIS_SERVER_APP_CPU_CORES_H_

#include <string>

namespace precis::server {

// CPUs in this process's affinity mask.
int AffinityCores();

// CPU time per wall time that the cgroups of this process allow, the least over them and their ancestors; 0 when there is no
// limit. Reads cgroup v2 (cpu.max) and v1 (cpu.cfs_quota_us), found through `root`/proc/self/{cgroup,mountinfo}; `root` is
// "" for the real system.
double CgroupCpuQuota(const std::string& root);

// Cores to use: the affinity mask's, at most the quota rounded down (a worker more than the quota would be throttled in
// every period, which the slowest requests pay for), at least 1.
int UsableCores(int affinity_cores, double quota);

}  // namespace precis::server

#endif  // PRECIS_SERVER_APP_CPU_CORES_H_
