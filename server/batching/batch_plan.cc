// Probe items are random: float sums of random numbers in another order end in other bits with near certainty, somewhere in an
// output of any size. Rounding to 16 bits between layers hides nearly all such differences from a few probe items, but not all of them from
// many requests: variants with 16-bit layers run item by item. Sizes are tried upwards while they pay. Then, for each size as the
// smallest one in use (requests below it are padded), the sizes above that agree with it form a candidate; the candidate with the least time per item wins among those
// that do not hold up a lone item.

#include "server/batching/batch_plan.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "engine/base/status_macros.h"

namespace precis::server {
namespace {

// Probe items; a batch is filled with them in turn, beginning with each of the first kTurns, so that items change places.
constexpr int64_t kItems = 3;
constexpr int64_t kTurns = 3;
// A size is timed for at least so long, as the first runs touch new memory.
constexpr absl::Duration kTimedFor = absl::Milliseconds(30);
// A larger size must take so much less per item than the smaller ones: below that it is noise, and makes requests wait.
constexpr double kMustSave = 0.05;
// Sizes above one that does not pay which are still tried.
constexpr int kPatience = 1;
// A lone request padded to a larger run may take so much more.
constexpr double kMayCost = 0.05;
// Contexts that a session keeps besides those of batches are for other shapes.
constexpr size_t kMaxSizes = 6;

using Measured = BatchPlan::Measured;

double PerItem(const Measured& m) { return absl::ToDoubleSeconds(m.time) / static_cast<double>(m.size); }

int64_t RowBytes(const Shape& shape, DataType dtype) {
  return NumElements(Shape(shape.begin() + 1, shape.end())) * static_cast<int64_t>(SizeOf(dtype));
}

std::vector<int64_t> Candidates(int64_t max_size, const std::vector<int64_t>& preferred) {
  std::set<int64_t> sizes(preferred.begin(), preferred.end());
  for (int64_t size = 1; size <= max_size; size *= 2) sizes.insert(size);
  sizes.insert(max_size);
  return {sizes.begin(), sizes.end()};
}

// One input's probe items: normal numbers in float inputs, zeros and ones in integer ones (valid as token, segment and mask).
Tensor MakeItems(const TensorSpec& spec, Shape shape, std::mt19937& random) {
  shape[0] = kItems;
  Tensor items(spec.dtype, shape);
  if (spec.dtype == DataType::kF32) {
    std::normal_distribution<float> normal;
    for (float& value : items.As<float>()) value = normal(random);
    return items;
  }
  std::fill_n(static_cast<char*>(items.data()), items.size_bytes(), 0);
  if (spec.dtype == DataType::kF16 || spec.dtype == DataType::kBF16 || spec.dtype == DataType::kF64) return items;
  for (int64_t i = 0; i < items.num_elements(); ++i) {  // little endian
    static_cast<char*>(items.data())[static_cast<size_t>(i) * SizeOf(spec.dtype)] = static_cast<char>(random() & 1);
  }
  return items;
}

class Prober {
 public:
  Prober(const Variant& variant, std::unique_ptr<Session> session) : session_(std::move(session)) {
    std::mt19937 random(1);
    const auto& shapes = variant.info().input_shapes;
    for (size_t i = 0; i < shapes.size(); ++i) items_.push_back(MakeItems(variant.inputs()[i], shapes[i], random));
  }

  absl::StatusOr<Measured> Measure(int64_t size) {
    Measured measured;
    measured.size = size;
    measured.time = absl::InfiniteDuration();
    bool agrees = true;
    std::vector<Tensor> outputs;
    const absl::Time start = absl::Now();
    for (int64_t turn = 0; turn < kTurns || absl::Now() - start < kTimedFor; ++turn) {
      Fill(size, turn % kTurns);
      const absl::Time before = absl::Now();
      PRECIS_RETURN_IF_ERROR(session_->Run(views_, &outputs));
      measured.time = std::min(measured.time, absl::Now() - before);
      batched_outputs_ = batched_outputs_ && std::all_of(outputs.begin(), outputs.end(), [&](const Tensor& output) {
                           return !output.shape().empty() && output.shape()[0] == size;
                         });
      if (!batched_outputs_) return measured;
      if (turn < kTurns) agrees = Collect(outputs, size, turn, &measured.items) && agrees;
    }
    if (!agrees) measured.items.clear();
    return measured;
  }
  // Whether every output of every run had one row for each item.
  bool batched_outputs() const { return batched_outputs_; }

 private:
  // Row r of the inputs is item (r + turn) % kItems.
  void Fill(int64_t size, int64_t turn) {
    inputs_.resize(items_.size());
    views_.clear();
    for (size_t i = 0; i < items_.size(); ++i) {
      Shape shape = items_[i].shape();
      const auto row = static_cast<size_t>(RowBytes(shape, items_[i].dtype()));
      shape[0] = size;
      if (inputs_[i].shape() != shape || inputs_[i].data() == nullptr) inputs_[i] = Tensor(items_[i].dtype(), shape);
      for (int64_t r = 0; r < size; ++r) {
        std::memcpy(static_cast<char*>(inputs_[i].data()) + static_cast<size_t>(r) * row,
                    static_cast<const char*>(items_[i].data()) + static_cast<size_t>((r + turn) % kItems) * row, row);
      }
      views_.push_back(inputs_[i].view());
    }
  }

  // Takes the items' outputs into `items`, row i for item i; false when an item came out in other bits than before.
  bool Collect(const std::vector<Tensor>& outputs, int64_t size, int64_t turn, std::vector<Tensor>* items) {
    if (turn == 0) {
      seen_.assign(kItems, false);
      for (const Tensor& output : outputs) {
        Shape shape = output.shape();
        shape[0] = kItems;
        items->emplace_back(output.dtype(), shape);
      }
    }
    bool agrees = true;
    for (int64_t r = 0; r < size; ++r) {
      const int64_t item = (r + turn) % kItems;
      for (size_t o = 0; o < outputs.size(); ++o) {
        const int64_t row = RowBytes(outputs[o].shape(), outputs[o].dtype());
        char* kept = static_cast<char*>((*items)[o].data()) + item * row;
        const char* now = static_cast<const char*>(outputs[o].data()) + r * row;
        if (seen_[static_cast<size_t>(item)]) agrees = agrees && std::memcmp(kept, now, static_cast<size_t>(row)) == 0;
        std::memcpy(kept, now, static_cast<size_t>(row));
      }
      seen_[static_cast<size_t>(item)] = true;
    }
    return agrees;
  }

  const std::unique_ptr<Session> session_;
  std::vector<Tensor> items_, inputs_;
  std::vector<TensorView> views_;
  std::vector<bool> seen_;
  bool batched_outputs_ = true;
};

bool SameBits(const Measured& a, const Measured& b) {
  if (a.items.empty() || b.items.empty()) return false;
  for (size_t o = 0; o < a.items.size(); ++o) {
    if (std::memcmp(a.items[o].data(), b.items[o].data(), a.items[o].size_bytes()) != 0) return false;
  }
  return true;
}

// `base` and the sizes above it that agree with it and take less per item than all that are below.
std::vector<const Measured*> SizesAbove(const Measured& base, const std::vector<Measured>& measured) {
  std::vector<const Measured*> sizes = {&base};
  for (const Measured& m : measured) {
    if (m.size <= base.size || sizes.size() == kMaxSizes || !SameBits(m, base)) continue;
    if (PerItem(m) < (1 - kMustSave) * PerItem(*sizes.back())) sizes.push_back(&m);
  }
  return sizes;
}

// For every number of items up to `max_size`: the runs that take the least time together, by dynamic programming.
std::vector<std::vector<int64_t>> CheapestRuns(const std::vector<const Measured*>& sizes, int64_t max_size) {
  std::vector<std::vector<int64_t>> runs(static_cast<size_t>(max_size) + 1);
  std::vector<double> seconds(runs.size(), 0.0);
  for (int64_t items = 1; items <= max_size; ++items) {
    const auto at = static_cast<size_t>(items);
    seconds[at] = std::numeric_limits<double>::infinity();
    for (const Measured* m : sizes) {
      const auto rest = static_cast<size_t>(std::max<int64_t>(0, items - m->size));
      const double total = absl::ToDoubleSeconds(m->time) + seconds[rest];
      if (total > (1 - kMustSave) * seconds[at]) continue;  // of two about equal ways the one with the smaller runs
      seconds[at] = total;
      runs[at] = {m->size};
      runs[at].insert(runs[at].end(), runs[rest].begin(), runs[rest].end());
    }
    std::sort(runs[at].begin(), runs[at].end(), std::greater<>());  // the padded one last
  }
  return runs;
}

std::string Times(const std::vector<Measured>& measured) {
  return absl::StrJoin(measured, ", ", [](std::string* out, const Measured& m) {
    absl::StrAppend(out, m.size, ": ", absl::ToDoubleMilliseconds(m.time), " ms",
                    m.items.empty() ? " (not the same bits at every place)" : "");
  });
}

bool Is16Bits(quant::Precision precision) {
  return precision == quant::Precision::kBF16 || precision == quant::Precision::kF16;
}

bool Has16BitLayers(const quant::Policy& policy) {
  return Is16Bits(policy.precision) ||
         std::any_of(policy.overrides.begin(), policy.overrides.end(), [](const quant::LayerOverride& override) {
           return override.precision.has_value() && Is16Bits(*override.precision);
         });
}

}  // namespace

absl::StatusOr<BatchPlan> BatchPlan::Measure(const Variant& variant, int64_t max_size,
                                             const std::vector<int64_t>& preferred) {
  std::vector<Shape> shapes = variant.info().input_shapes;
  const auto with_batch = [&](int64_t size) {
    for (Shape& shape : shapes) shape[0] = size;
    return shapes;
  };
  std::string why_only_one;
  if (Has16BitLayers(variant.info().policy)) {
    why_only_one = "16-bit layers may answer a larger run in bits that a probe does not tell apart";
  } else if (std::any_of(variant.inputs().begin(), variant.inputs().end(),
                         [](const TensorSpec& spec) { return spec.shape[0] != kUnknownDim; })) {
    why_only_one = "the network is written for batches of one size";
  }
  PRECIS_ASSIGN_OR_RETURN(auto session, variant.NewSession());
  Prober prober(variant, std::move(session));
  std::vector<Measured> measured;
  double least = std::numeric_limits<double>::infinity();
  int in_vain = 0;
  std::string failure;
  for (const int64_t size : !why_only_one.empty() ? std::vector<int64_t>{1} : Candidates(max_size, preferred)) {
    absl::StatusOr<Measured> one = prober.Measure(size);
    if (!one.ok() && size == 1) return one.status();
    if (!one.ok()) {  // the network is written for one item: a Reshape to fixed numbers, say
      failure = absl::StrCat("; ", size, " items: ", one.status().message());
      break;
    }
    measured.push_back(*std::move(one));
    if (!prober.batched_outputs()) {
      BatchPlan as_sent;
      as_sent.reason_ = "an output has no batch dimension: every request is a run of its own";
      return as_sent;
    }
    const bool pays = PerItem(measured.back()) < (1 - kMustSave) * least;
    least = std::min(least, PerItem(measured.back()));
    in_vain = pays ? 0 : in_vain + 1;
    if (in_vain > kPatience) break;
  }
  BatchPlan plan = Choose(measured, max_size, why_only_one);
  plan.item_shapes_ = with_batch(1);
  plan.reason_ += failure;
  for (const Measured& m : measured) {
    const bool used = std::find(plan.sizes_.begin(), plan.sizes_.end(), m.size) != plan.sizes_.end();
    if (!used && with_batch(m.size) != variant.info().input_shapes) variant.DropPlan(shapes);
  }
  return plan;
}

BatchPlan BatchPlan::Choose(const std::vector<Measured>& measured, int64_t max_size, const std::string& why_only_one) {
  std::vector<const Measured*> best = SizesAbove(measured[0], measured);
  for (size_t i = 1; i < measured.size(); ++i) {
    if (measured[i].items.empty() || measured[i].time > (1 + kMayCost) * measured[0].time) continue;
    const std::vector<const Measured*> sizes = SizesAbove(measured[i], measured);
    if (PerItem(*sizes.back()) < (1 - kMustSave) * PerItem(*best.back())) best = sizes;
  }
  BatchPlan plan;
  for (const Measured* m : best) plan.sizes_.push_back(m->size);
  plan.runs_ = CheapestRuns(best, max_size);
  if (!why_only_one.empty()) {
    plan.reason_ = absl::StrCat("requests run item by item: ", why_only_one);
    return plan;
  }
  std::vector<int64_t> differ;
  for (const Measured& m : measured) {
    if (m.size > best[0]->size && !SameBits(m, *best[0])) differ.push_back(m.size);
  }
  plan.reason_ =
      absl::StrCat(plan.best_size() == 1 ? "requests run item by item, larger runs are not faster per item"
                                         : absl::StrCat("runs of ", absl::StrJoin(plan.sizes_, ", "), " items"),
                   best[0]->size > 1 ? ", smaller requests padded" : "", " (", Times(measured), ")",
                   differ.empty() ? "" : absl::StrCat("; other bits than alone at ", absl::StrJoin(differ, ", ")));
  return plan;
}

bool BatchPlan::Covers(const std::vector<TensorView>& inputs) const {
  return std::equal(inputs.begin(), inputs.end(), item_shapes_.begin(), item_shapes_.end(),
                    [](const TensorView& input, const Shape& item) {
                      return std::equal(input.shape.begin() + 1, input.shape.end(), item.begin() + 1, item.end());
                    });
}

}  // namespace precis::server
