#include "server/batching/batch_session.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/base/status_macros.h"

namespace precis::server {
namespace {

// Weight of the newest run in a smoothed time.
constexpr double kSmoothing = 0.2;
// As many combinations of shapes as an engine session keeps ready.
constexpr size_t kMaxKnown = 8;

// Whether `shapes` are those of `like`, with `size` in dimension 0 when that is above 0.
bool Fits(const std::vector<TensorView>& shapes, const std::vector<TensorView>& like, int64_t size) {
  return std::equal(
      shapes.begin(), shapes.end(), like.begin(), like.end(), [size](const TensorView& a, const TensorView& b) {
        if (size == 0) return a.shape == b.shape;
        return a.shape[0] == size && std::equal(a.shape.begin() + 1, a.shape.end(), b.shape.begin() + 1, b.shape.end());
      });
}

size_t RowBytes(const Shape& shape, DataType dtype) {
  size_t bytes = SizeOf(dtype);
  for (size_t i = 1; i < shape.size(); ++i) bytes *= static_cast<size_t>(shape[i]);
  return bytes;
}

char* Row(void* data, int64_t row, size_t row_bytes) {
  return static_cast<char*>(data) + static_cast<size_t>(row) * row_bytes;
}
const char* Row(const void* data, int64_t row, size_t row_bytes) {
  return static_cast<const char*>(data) + static_cast<size_t>(row) * row_bytes;
}

// Takes the inputs from `row` of `job` on, where they are.
void PointAt(const Job& job, int64_t row, std::vector<TensorView>& inputs) {
  for (size_t k = 0; k < inputs.size(); ++k) {
    inputs[k].data =
        row == 0 ? job.inputs[k].data : Row(job.inputs[k].data, row, RowBytes(inputs[k].shape, inputs[k].dtype));
  }
}

}  // namespace

BatchSession::BatchSession(std::shared_ptr<const Variant> variant, const BatchPlan* plan, VariantMetrics* metrics,
                           std::function<absl::Time()> clock)
    : variant_(std::move(variant)), plan_(*plan), metrics_(metrics), clock_(std::move(clock)) {}

absl::Status BatchSession::Run(std::span<const Job> jobs, std::span<std::vector<Tensor>> outputs, RunSizes* runs) {
  if (session_ == nullptr) {
    auto session = variant_->NewSession();
    if (!session.ok()) return session.status();
    session_ = *std::move(session);
  }
  if (!plan_.batches()) {
    for (size_t i = 0; i < jobs.size(); ++i) {
      Known& known = Find(jobs[i].inputs, 0);
      PointAt(jobs[i], 0, known.inputs);
      PRECIS_RETURN_IF_ERROR(RunModel(known, &outputs[i], jobs[i].batch_size));
      runs->push_back(jobs[i].batch_size);
    }
    return absl::OkStatus();
  }
  int64_t left = 0;
  for (const Job& job : jobs) left += job.batch_size;
  const bool covered = plan_.Covers(jobs[0].inputs);
  Cursor cursor;
  while (left > 0) {
    const int64_t size = covered ? plan_.Runs(left)[0] : 1;
    const int64_t items = std::min(left, size);
    PRECIS_RETURN_IF_ERROR(RunPiece(jobs, outputs, size, items, &cursor));
    runs->push_back(items);
    left -= items;
  }
  return absl::OkStatus();
}

absl::Status BatchSession::RunPiece(std::span<const Job> jobs, std::span<std::vector<Tensor>> outputs, int64_t size,
                                    int64_t items, Cursor* cursor) {
  const Job& job = jobs[cursor->job];
  Known& known = Find(job.inputs, size);
  const bool in_place = items == size && cursor->row + size <= job.batch_size;
  if (in_place) {
    PointAt(job, cursor->row, known.inputs);
  } else {
    Gather(jobs, *cursor, items, known);
  }
  if (in_place && size == job.batch_size) {
    ++cursor->job;
    return RunModel(known, &outputs[cursor->job - 1], items);
  }
  PRECIS_RETURN_IF_ERROR(RunModel(known, &known.outputs, items));
  *cursor = Scatter(jobs, outputs, *cursor, items, known);
  return absl::OkStatus();
}

absl::Status BatchSession::RunModel(Known& known, std::vector<Tensor>* outputs, int64_t items) {
  const absl::Time start = clock_();
  PRECIS_RETURN_IF_ERROR(session_->Run(known.inputs, outputs));
  const absl::Duration took = clock_() - start;
  // The first run at these shapes may have compiled a plan: its time says nothing.
  if (known.runs == 1) known.smoothed = took;
  if (known.runs > 1) known.smoothed += kSmoothing * (took - known.smoothed);
  known.runs = std::min(known.runs + 1, 2);
  if (metrics_ != nullptr) metrics_->CountRun(items, known.weight_bytes, known.activation_bytes, took);
  return absl::OkStatus();
}

absl::Duration BatchSession::Expected(const Job& job) const {
  if (plan_.batches() && (!plan_.Covers(job.inputs) || plan_.Runs(job.batch_size)[0] != job.batch_size)) {
    return absl::InfiniteDuration();
  }
  const auto known =
      std::find_if(known_.begin(), known_.end(), [&](const Known& k) { return Fits(k.inputs, job.inputs, 0); });
  return known == known_.end() ? absl::InfiniteDuration() : known->smoothed;
}

BatchSession::Known& BatchSession::Find(const std::vector<TensorView>& like, int64_t size) {
  auto known = std::find_if(known_.begin(), known_.end(), [&](const Known& k) { return Fits(k.inputs, like, size); });
  if (known != known_.end()) {
    known_.splice(known_.begin(), known_, known);
    return known_.front();
  }
  known_.emplace_front().inputs = like;
  std::vector<Shape> shapes;
  for (TensorView& input : known_.front().inputs) {
    if (size > 0) input.shape[0] = size;
    shapes.push_back(input.shape);
  }
  if (const auto layers = variant_->DescribePlan(shapes); layers.ok()) {
    for (const Layer& layer : *layers) {
      known_.front().weight_bytes += layer.weight_bytes;
      known_.front().activation_bytes += layer.activation_bytes;
    }
  }
  if (known_.size() > kMaxKnown) known_.pop_back();
  return known_.front();
}

void BatchSession::Gather(std::span<const Job> jobs, Cursor cursor, int64_t items, Known& known) {
  gathered_.resize(known.inputs.size());
  for (size_t k = 0; k < known.inputs.size(); ++k) {
    TensorView& input = known.inputs[k];
    Tensor& buffer = gathered_[k];
    if (buffer.data() == nullptr || buffer.size_bytes() < input.size_bytes()) {
      buffer = Tensor(input.dtype, input.shape);
      std::fill_n(static_cast<char*>(buffer.data()), buffer.size_bytes(), 0);  // a padded run reads what nobody wrote
    }
    input.data = buffer.data();
  }
  for (int64_t done = 0; done < items; ++cursor.job, cursor.row = 0) {
    const Job& job = jobs[cursor.job];
    const int64_t rows = std::min(items - done, job.batch_size - cursor.row);
    for (size_t k = 0; k < known.inputs.size(); ++k) {
      const size_t row = RowBytes(known.inputs[k].shape, known.inputs[k].dtype);
      std::memcpy(Row(gathered_[k].data(), done, row), Row(job.inputs[k].data, cursor.row, row),
                  static_cast<size_t>(rows) * row);
    }
    done += rows;
  }
}

BatchSession::Cursor BatchSession::Scatter(std::span<const Job> jobs, std::span<std::vector<Tensor>> outputs,
                                           Cursor cursor, int64_t items, const Known& known) {
  for (int64_t done = 0; done < items;) {
    const Job& job = jobs[cursor.job];
    std::vector<Tensor>& mine = outputs[cursor.job];
    const int64_t rows = std::min(items - done, job.batch_size - cursor.row);
    for (size_t o = 0; o < known.outputs.size(); ++o) {
      const Tensor& from = known.outputs[o];
      if (mine.size() <= o) {
        Shape shape = from.shape();
        shape[0] = job.batch_size;
        mine.emplace_back(from.dtype(), std::move(shape));
      }
      const size_t row = RowBytes(from.shape(), from.dtype());
      std::memcpy(Row(mine[o].data(), cursor.row, row), Row(from.data(), done, row), static_cast<size_t>(rows) * row);
    }
    done += rows;
    cursor.row += rows;
    if (cursor.row == job.batch_size) cursor = {cursor.job + 1, 0};
  }
  return cursor;
}

}  // namespace precis::server
