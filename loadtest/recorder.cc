#include "loadtest/recorder.h"

#include <algorithm>

#include "absl/status/status.h"

namespace precis::loadtest {

int64_t Tally::failed() const {
  int64_t sum = 0;
  for (const auto& [code, count] : errors) sum += count;
  return sum;
}

void Tally::Merge(const Tally& other) {
  calls += other.calls;
  ended += other.ended;
  answers += other.answers;
  retries += other.retries;
  for (const auto& [code, count] : other.errors) errors[code] += count;
  first_error.insert(other.first_error.begin(), other.first_error.end());
  latency.Merge(other.latency);
  send_delay.Merge(other.send_delay);
}

Recorder::Recorder(Clock::time_point begin, Clock::duration window) : begin_(begin), window_(window) {}

int Recorder::IndexOf(Clock::time_point time) const {
  return time < begin_ ? -1 : static_cast<int>((time - begin_) / window_);
}

Tally& Recorder::At(int index) {
  if (index < 0) return warmup_;
  if (index >= static_cast<int>(windows_.size())) windows_.resize(index + 1);
  return windows_[index];
}

void Recorder::Began(Clock::time_point intended, Clock::time_point actual) {
  Tally& window = At(IndexOf(intended));
  ++window.calls;
  window.send_delay.Record(std::chrono::nanoseconds(actual - intended).count());
}

void Recorder::Ended(Clock::time_point intended, Clock::time_point now, const std::string& code,
                     const std::string& message, int retries) {
  if (code.empty()) ++At(IndexOf(now)).answers;
  Tally& window = At(IndexOf(intended));
  ++window.ended;
  window.retries += retries;
  if (code.empty()) {
    window.latency.Record(std::chrono::nanoseconds(now - intended).count());
  } else {
    ++window.errors[code];
    window.first_error.emplace(code, message);
  }
}

int Recorder::WindowsBefore(Clock::time_point now) const { return std::max(0, IndexOf(now)); }

bool Recorder::AllEnded(int first, int last) const {
  for (int i = first; i < last; ++i) {
    if (Window(i).ended < Window(i).calls) return false;
  }
  return true;
}

const Tally& Recorder::Window(int index) const {
  static const Tally kNothing;
  return index < static_cast<int>(windows_.size()) ? windows_[index] : kNothing;
}

Tally Recorder::Sum(int first, int last) const {
  Tally sum;
  for (int i = first; i < last; ++i) sum.Merge(Window(i));
  return sum;
}

Tally Recorder::Outside(int first, int last) const {
  Tally sum = warmup_;
  for (int i = 0; i < static_cast<int>(windows_.size()); ++i) {
    if (i < first || i >= last) sum.Merge(windows_[i]);
  }
  return sum;
}

std::string CodeName(int code) {
  return code == 0 ? "" : absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
}

}  // namespace precis::loadtest
