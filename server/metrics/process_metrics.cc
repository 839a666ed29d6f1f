// proc(5): fields of /proc/self/stat are counted from 1; the second one, the name in parentheses, may hold spaces, so the
// reading starts behind its last ')'.

#include "server/metrics/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>

namespace precis::server {
namespace {

void Add(std::vector<prometheus::MetricFamily>& families, const char* name, const char* help,
         prometheus::MetricType type, double value) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  family.metric.emplace_back();
  family.metric.back().gauge.value = value;
  family.metric.back().counter.value = value;
  families.push_back(std::move(family));
}

std::string ReadFile(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Seconds since the epoch at which the machine booted; 0 when unknown.
double BootTime() {
  std::istringstream stat(ReadFile("/proc/stat"));
  for (std::string line; std::getline(stat, line);) {
    if (line.starts_with("btime ")) return std::stod(line.substr(6));
  }
  return 0;
}

int CountOpenFiles() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return -1;
  int count = -3;  // ".", ".." and the directory's own descriptor
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

void AddStat(std::vector<prometheus::MetricFamily>& families) {
  const std::string text = ReadFile("/proc/self/stat");
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return;
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  for (int i = 3; i <= 13; ++i) fields >> skipped;
  double user = 0, system = 0, threads = 0, start = 0, virtual_bytes = 0, resident_pages = 0;
  fields >> user >> system >> skipped >> skipped >> skipped >> skipped >> threads >> skipped >> start >>
      virtual_bytes >> resident_pages;
  if (!fields) return;
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  using prometheus::MetricType;
  Add(families, "process_cpu_seconds_total", "User and system CPU time", MetricType::Counter, (user + system) / ticks);
  Add(families, "process_threads", "Threads", MetricType::Gauge, threads);
  Add(families, "process_virtual_memory_bytes", "Virtual memory", MetricType::Gauge, virtual_bytes);
  Add(families, "process_resident_memory_bytes", "Resident memory", MetricType::Gauge,
      resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE)));
  if (const double boot = BootTime(); boot > 0) {
    Add(families, "process_start_time_seconds", "Start of the process, since the epoch", MetricType::Gauge,
        boot + start / ticks);
  }
}

}  // namespace

std::vector<prometheus::MetricFamily> ProcessMetrics::Collect() const {
  std::vector<prometheus::MetricFamily> families;
  AddStat(families);
  if (const int open = CountOpenFiles(); open >= 0) {
    Add(families, "process_open_fds", "Open file descriptors", prometheus::MetricType::Gauge, open);
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    Add(families, "process_max_fds", "Limit of open file descriptors", prometheus::MetricType::Gauge,
        static_cast<double>(limit.rlim_cur));
  }
  return families;
}

}  // namespace precis::server
