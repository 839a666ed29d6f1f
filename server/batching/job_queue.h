#ifndef PRECIS_SERVER_BATCHING_JOB_QUEUE_H_
#define PRECIS_SERVER_BATCHING_JOB_QUEUE_H_

// The jobs that wait, in the order in which they will run: by priority level; within a level by arrival, those whose time in
// the queue is up behind the others where the level's policy says DELAY. Not thread-safe.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/batching/job.h"
#include "server/config/scheduling.h"

namespace precis::server {

class JobQueue {
 public:
  struct Refused {
    Job job;
    absl::Status why;
  };

  // Holds `max_size` jobs at most, and of each level what its policy says. `scheduling` outlives this.
  JobQueue(const Scheduling* scheduling, size_t max_size);

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  int64_t items() const { return items_; }
  // Arrival of the job that has waited longest. Requires jobs.
  absl::Time oldest() const;

  // OK, or ResourceExhausted.
  absl::Status RoomFor(const Job& job) const;
  // Requires room; `job.submitted` is set.
  void Push(Job job);
  // Whether the first job is none that Sweep would take out or move. Requires jobs.
  bool FirstMayRun(absl::Time now) const;
  // Takes out what must not run any more: cancelled, past its deadline, or too long in a queue whose policy says REJECT; moves
  // what its policy delays.
  std::vector<Refused> Sweep(absl::Time now);

  // Items of the jobs at the front that can share a run (equal shapes but for dimension 0), counted up to `max_items`.
  int64_t LeadingItems(int64_t max_items) const;
  // Takes the first job, and those behind it that can share its run while all have `max_items` items together.
  std::vector<Job> Take(int64_t max_items);

 private:
  struct Entry {
    Job job;
    absl::Time expires;  // of its time in the queue
  };
  struct Level {
    std::deque<Entry> waiting, delayed;  // both by arrival
  };
  // Calls `visit(entry)` in the order of running while it returns true.
  template <typename Visit>
  void InOrder(Visit visit) const;
  void SweepLevel(size_t level, absl::Time now, std::vector<Refused>* refused);

  const Scheduling& scheduling_;
  const size_t max_size_;
  std::vector<Level> levels_;
  size_t size_ = 0;
  int64_t items_ = 0;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_BATCHING_JOB_QUEUE_H_
