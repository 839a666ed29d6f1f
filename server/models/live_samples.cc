// Whoever removes a collection from the list ends it, without the list's lock: its end may load, and may ask for the list.

#include "server/models/live_samples.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace precis::server {
namespace {

bool IsFinite(const TensorView& input) {
  if (input.dtype != DataType::kF32) return true;
  const auto values = input.As<float>();
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

// Item `index` of `items` along the first dimension, which stays as one of 1; the whole where there is one item.
TensorView ItemOf(const TensorView& input, int64_t items, int64_t index) {
  if (items == 1) return input;
  TensorView item = input;
  item.shape[0] = 1;
  item.data = static_cast<const char*>(input.data) + static_cast<size_t>(index) * item.size_bytes();
  return item;
}

}  // namespace

int64_t LiveCollection::taken() const {
  absl::MutexLock lock(&mutex_);
  return taken_;
}

bool LiveCollection::ended() const {
  absl::MutexLock lock(&mutex_);
  return ended_;
}

int64_t LiveCollection::ItemsOf(const std::vector<TensorView>& inputs) const {
  if (!options_.items_are_samples || inputs.empty()) return 1;
  const int64_t items = inputs[0].shape[0];
  const bool same = std::all_of(inputs.begin(), inputs.end(), [&](const TensorView& v) { return v.shape[0] == items; });
  return same ? items : 1;
}

bool LiveCollection::Offer(const std::vector<TensorView>& inputs) {
  {
    absl::MutexLock lock(&mutex_);
    if (full_ || ended_) return false;
  }
  const int64_t items = ItemsOf(inputs);
  std::vector<Sample> taken;
  for (int64_t index = 0; index < items && static_cast<int64_t>(taken.size()) < options_.limit; ++index) {
    Sample sample;
    for (const TensorView& input : inputs) {
      const TensorView item = ItemOf(input, items, index);
      if (!IsFinite(item)) break;
      sample.push_back(Tensor::CopyOf(item));
    }
    if (sample.size() == inputs.size()) taken.push_back(std::move(sample));
  }
  if (taken.empty()) return false;
  Shapes shapes;
  size_t sample_bytes = 0;
  for (const Tensor& input : taken.front()) {
    shapes.push_back(input.shape());
    sample_bytes += input.size_bytes();
  }
  int64_t now = 0;
  bool full = false;
  {
    absl::MutexLock lock(&mutex_);
    if (full_ || ended_) return false;
    std::vector<Sample>& alike = samples_[shapes];
    for (Sample& sample : taken) {
      if (static_cast<int64_t>(alike.size()) == options_.limit) break;
      alike.push_back(std::move(sample));
      bytes_ += sample_bytes;
    }
    taken_ = now = std::max(taken_, static_cast<int64_t>(alike.size()));
    full_ = full = taken_ >= options_.limit || bytes_ >= options_.most_bytes;
  }
  if (options_.on_progress) options_.on_progress(now);
  return full;
}

void LiveCollection::Announce() const {
  if (options_.on_progress && !ended()) options_.on_progress(taken());
}

void LiveCollection::End(const absl::Status& status) {
  std::map<Shapes, std::vector<Sample>> samples;
  {
    absl::MutexLock lock(&mutex_);
    if (std::exchange(ended_, true)) return;
    samples.swap(samples_);
  }
  auto done = std::move(options_.done);  // and what it holds goes with it
  if (!status.ok()) return done(status);
  const auto commonest = std::max_element(
      samples.begin(), samples.end(), [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  done(commonest == samples.end() ? std::vector<Sample>() : std::move(commonest->second));
}

std::vector<std::shared_ptr<LiveCollection>> LiveSamples::Of(const std::string& model) const {
  std::vector<std::shared_ptr<LiveCollection>> found;
  absl::MutexLock lock(&mutex_);
  for (const auto& collection : collections_) {
    if (collection->model() == model) found.push_back(collection);
  }
  return found;
}

void LiveSamples::Offer(const std::shared_ptr<LiveCollection>& collection, const std::vector<TensorView>& inputs) {
  if (collection->Offer(inputs) && Remove(*collection)) collection->End(absl::OkStatus());
}

absl::Status LiveSamples::Begin(std::shared_ptr<LiveCollection> collection) {
  absl::MutexLock lock(&mutex_);
  if (!closed_.ok()) return closed_;
  if (collections_.size() >= kMostCollections) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kMostCollections, " loads wait for live traffic already; try again when one has ended"));
  }
  collections_.push_back(std::move(collection));
  count_.store(collections_.size(), std::memory_order_relaxed);
  return absl::OkStatus();
}

int LiveSamples::EndIf(absl::FunctionRef<bool(const LiveCollection&)> which, const absl::Status& status) {
  std::vector<std::shared_ptr<LiveCollection>> ended;
  {
    absl::MutexLock lock(&mutex_);
    std::erase_if(collections_, [&](const std::shared_ptr<LiveCollection>& collection) {
      if (!which(*collection)) return false;
      ended.push_back(collection);
      return true;
    });
    count_.store(collections_.size(), std::memory_order_relaxed);
  }
  for (const auto& collection : ended) collection->End(status);
  return static_cast<int>(ended.size());
}

void LiveSamples::EndAbandoned() {
  EndIf([](const LiveCollection& collection) { return collection.caller_gone(); },
        absl::CancelledError("the client left while the load waited for live traffic"));
}

void LiveSamples::Close(const absl::Status& status) {
  {
    absl::MutexLock lock(&mutex_);
    closed_ = status;
  }
  EndIf([](const LiveCollection&) { return true; }, status);
}

bool LiveSamples::Remove(const LiveCollection& collection) {
  absl::MutexLock lock(&mutex_);
  const size_t removed = std::erase_if(collections_, [&](const auto& each) { return each.get() == &collection; });
  count_.store(collections_.size(), std::memory_order_relaxed);
  return removed > 0;
}

}  // namespace precis::server
