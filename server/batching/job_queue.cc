#include "server/batching/job_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace precis::server {
namespace {

bool CanShareRun(const Job& a, const Job& b) {
  return std::equal(a.inputs.begin(), a.inputs.end(), b.inputs.begin(), b.inputs.end(),
                    [](const TensorView& x, const TensorView& y) {
                      return x.shape.size() == y.shape.size() && !x.shape.empty() &&
                             std::equal(x.shape.begin() + 1, x.shape.end(), y.shape.begin() + 1);
                    });
}

}  // namespace

absl::Status WhyNot(const Job& job, absl::Time now) {
  if (job.cancelled && job.cancelled()) return absl::CancelledError("the client cancelled the request");
  if (now >= job.deadline) return absl::DeadlineExceededError("the deadline passed in the queue");
  return absl::OkStatus();
}

JobQueue::JobQueue(const Scheduling* scheduling, size_t max_size)
    : scheduling_(*scheduling), max_size_(max_size), levels_(scheduling->levels.size()) {}

template <typename Visit>
void JobQueue::InOrder(Visit visit) const {
  for (const Level& level : levels_) {
    for (const auto* jobs : {&level.waiting, &level.delayed}) {
      for (const Entry& entry : *jobs) {
        if (!visit(entry)) return;
      }
    }
  }
}

absl::Time JobQueue::oldest() const {
  absl::Time oldest = absl::InfiniteFuture();
  for (const Level& level : levels_) {
    for (const auto* jobs : {&level.waiting, &level.delayed}) {
      if (!jobs->empty()) oldest = std::min(oldest, jobs->front().job.submitted);
    }
  }
  return oldest;
}

absl::Status JobQueue::RoomFor(const Job& job) const {
  if (size_ >= max_size_) {
    return absl::ResourceExhaustedError(absl::StrCat("the queue is full: ", size_, " requests are waiting"));
  }
  const size_t index = scheduling_.LevelOf(job.priority);
  const Level& level = levels_[index];
  const size_t waiting = level.waiting.size() + level.delayed.size();
  if (waiting < scheduling_.levels[index].max_size) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("the queue is full: ", waiting, " requests are waiting at priority ",
                                                   index + 1, ", which is its max_queue_size"));
}

void JobQueue::Push(Job job) {
  const size_t level = scheduling_.LevelOf(job.priority);
  const absl::Time expires = job.submitted + scheduling_.TimeoutOf(level, job.timeout);
  ++size_;
  items_ += job.batch_size;
  levels_[level].waiting.push_back({std::move(job), expires});
}

bool JobQueue::FirstMayRun(absl::Time now) const {
  bool may = true;
  InOrder([&](const Entry& first) {
    may = now < first.expires && WhyNot(first.job, now).ok();
    return false;
  });
  return may;
}

std::vector<JobQueue::Refused> JobQueue::Sweep(absl::Time now) {
  std::vector<Refused> refused;
  for (size_t level = 0; level < levels_.size(); ++level) SweepLevel(level, now, &refused);
  for (const Refused& r : refused) items_ -= r.job.batch_size;
  size_ -= refused.size();
  return refused;
}

void JobQueue::SweepLevel(size_t level, absl::Time now, std::vector<Refused>* refused) {
  const bool delays = scheduling_.levels[level].delay_when_expired;
  std::vector<Entry> delayed;
  // True for an entry that leaves `waiting` or `delayed`.
  const auto leaves = [&](Entry& entry) {
    absl::Status why = WhyNot(entry.job, now);
    if (why.ok() && now >= entry.expires) {
      if (delays) {
        delayed.push_back({std::move(entry.job), absl::InfiniteFuture()});
        return true;
      }
      why = absl::DeadlineExceededError("the timeout passed in the queue");
    }
    if (why.ok()) return false;
    refused->push_back({std::move(entry.job), std::move(why)});
    return true;
  };
  for (auto* jobs : {&levels_[level].waiting, &levels_[level].delayed}) {
    size_t kept = 0;
    for (Entry& entry : *jobs) {
      if (leaves(entry)) continue;
      if (Entry& place = (*jobs)[kept++]; &place != &entry) place = std::move(entry);
    }
    jobs->erase(jobs->begin() + static_cast<std::ptrdiff_t>(kept), jobs->end());
  }
  std::move(delayed.begin(), delayed.end(), std::back_inserter(levels_[level].delayed));
}

int64_t JobQueue::LeadingItems(int64_t max_items) const {
  int64_t items = 0;
  const Job* first = nullptr;
  InOrder([&](const Entry& entry) {
    if (first == nullptr) first = &entry.job;
    if (!CanShareRun(*first, entry.job) || (items > 0 && items + entry.job.batch_size > max_items)) return false;
    items += entry.job.batch_size;
    return items < max_items;
  });
  return items;
}

std::vector<Job> JobQueue::Take(int64_t max_items) {
  std::vector<Job> taken;
  int64_t items = 0;
  for (Level& level : levels_) {
    for (auto* jobs : {&level.waiting, &level.delayed}) {
      while (!jobs->empty()) {
        const Job& next = jobs->front().job;
        if (!taken.empty() && (items + next.batch_size > max_items || !CanShareRun(taken.front(), next))) return taken;
        items += next.batch_size;
        items_ -= next.batch_size;
        --size_;
        taken.push_back(std::move(jobs->front().job));
        jobs->pop_front();
      }
    }
  }
  return taken;
}

}  // namespace precis::server
