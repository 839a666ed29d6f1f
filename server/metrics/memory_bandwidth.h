#ifndef PRECIS_SERVER_METRICS_MEMORY_BANDWIDTH_H_
#define PRECIS_SERVER_METRICS_MEMORY_BANDWIDTH_H_

namespace precis::server {

// Read bandwidth of main memory with `threads` threads, bytes per second: the best of a few sweeps over a buffer that no
// cache holds. Takes about 0.1 s, and 64 to 256 MiB that it gives back. 0 when there is not enough memory.
double MeasureReadBandwidth(int threads);

}  // namespace precis::server

#endif  // PRECIS_SERVER_METRICS_MEMORY_BANDWIDTH_H_
