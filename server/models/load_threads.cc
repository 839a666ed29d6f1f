#include "server/models/load_threads.h"

#include <utility>

namespace precis::server {

LoadThreads::LoadThreads(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Loop(); });
}

LoadThreads::~LoadThreads() { Stop(); }

void LoadThreads::Run(Task task) {
  {
    absl::MutexLock lock(&mutex_);
    if (!stopping_) {
      tasks_.push_back(std::move(task));
      return;
    }
  }
  task(false);
}

void LoadThreads::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void LoadThreads::Loop() {
  while (true) {
    Task task;
    bool run = true;
    {
      absl::MutexLock lock(&mutex_, absl::Condition(this, &LoadThreads::HasNews));
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
      run = !stopping_;
    }
    task(run);
  }
}

}  // namespace precis::server
