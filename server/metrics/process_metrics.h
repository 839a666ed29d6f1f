#ifndef PRECIS_SERVER_METRICS_PROCESS_METRICS_H_
#define PRECIS_SERVER_METRICS_PROCESS_METRICS_H_

#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace precis::server {

// The metrics that every Prometheus client library shows of its process (process_cpu_seconds_total and so on), read from
// /proc/self when scraped. What cannot be read is left out.
class ProcessMetrics : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_METRICS_PROCESS_METRICS_H_
