// Bounds on time are told from one run in f32; every other network is at most about as slow.
#include "engine/search/measure.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "engine/base/status_macros.h"
#include "stats/fidelity.h"

namespace precis::search {
namespace {

constexpr int64_t kMostSamples = 256;
constexpr int64_t kMostSampleBytes = int64_t{1} << 28;  // of inputs and reference outputs held in memory
constexpr double kScoringUs = 0.8e6;                    // running one network over the samples
constexpr int64_t kFewestSamples = 8;
constexpr double kTimingUs = 0.3e6;  // per network
constexpr int kFewestTimings = 3, kMostTimings = 20;

absl::StatusOr<double> MicrosecondsOf(CompiledNetwork& network, const std::vector<Tensor>& sample) {
  std::vector<Tensor> outputs;
  std::vector<double> us;
  PRECIS_RETURN_IF_ERROR(network.RunTimed(sample, &outputs, &us));
  return std::accumulate(us.begin(), us.end(), 0.0);
}

void AddTimes(const CompiledNetwork& network, const std::vector<double>& us, Profile& profile) {
  for (size_t i = 0; i < us.size(); ++i) {
    const auto [entry, added] = profile.try_emplace(network.layers()[i].name, us[i]);
    if (!added) entry->second = std::min(entry->second, us[i]);
  }
}

}  // namespace

int Measure::ClassOutput(const ir::Graph& graph) {
  for (size_t o = 0; o < graph.outputs.size(); ++o) {
    const ir::Value& v = graph.value(graph.outputs[o].value);
    if (v.dtype == DataType::kF32 && v.shape.size() == 2 && v.shape[1] > 1) return static_cast<int>(o);
  }
  return -1;
}

absl::StatusOr<std::unique_ptr<Measure>> Measure::Create(const ir::Graph& graph, Compiler& compiler,
                                                         const quant::SampleSource& source, int64_t sample_limit) {
  std::unique_ptr<Measure> measure(new Measure(graph));
  PRECIS_RETURN_IF_ERROR(measure->Prepare(compiler, source, sample_limit));
  return measure;
}

absl::Status Measure::Prepare(Compiler& compiler, const quant::SampleSource& source, int64_t sample_limit) {
  PRECIS_ASSIGN_OR_RETURN(reference_, compiler.Compile(quant::Policy{}));
  const int64_t count = sample_limit > 0 ? std::min(source.size(), sample_limit) : source.size();
  if (count <= 0) return absl::FailedPreconditionError("there are no calibration samples");
  PRECIS_ASSIGN_OR_RETURN(const std::vector<Tensor> first, source.Sample(0));
  std::vector<Tensor> outputs;
  PRECIS_RETURN_IF_ERROR(reference_->Run(first, &outputs));
  for (int i = 0; i < kFewestTimings; ++i) {
    PRECIS_ASSIGN_OR_RETURN(const double us, MicrosecondsOf(*reference_, first));
    reference_us_ = i == 0 ? us : std::min(reference_us_, us);
  }
  reference_us_ = std::max(reference_us_, 1.0);
  size_t bytes = 1;
  for (const Tensor& t : first) bytes += t.size_bytes();
  for (const Tensor& t : outputs) bytes += t.size_bytes();
  const int64_t used =
      std::min({count, kMostSamples, std::max(kFewestSamples, static_cast<int64_t>(kScoringUs / reference_us_)),
                std::max<int64_t>(1, kMostSampleBytes / static_cast<int64_t>(bytes))});
  for (int64_t i = 0; i < used; ++i) {
    PRECIS_ASSIGN_OR_RETURN(auto sample, source.Sample(i * count / used));
    PRECIS_RETURN_IF_ERROR(reference_->Run(sample, &outputs));
    samples_.push_back(std::move(sample));
    std::vector<std::vector<float>> want;
    for (const Tensor& t : outputs)
      want.push_back(t.dtype() == DataType::kF32 ? ToFloat(t.view()) : std::vector<float>());
    wanted_.push_back(std::move(want));
  }
  return absl::OkStatus();
}

absl::StatusOr<Score> Measure::ScoreOf(CompiledNetwork& network, int64_t count, Profile* profile) const {
  std::vector<stats::Fidelity> fidelity(graph_.outputs.size());
  std::vector<Tensor> outputs;
  std::vector<double> us;
  for (int64_t s = 0; s < count; ++s) {
    const auto i = static_cast<size_t>(s * samples() / count);
    if (profile != nullptr) {
      PRECIS_RETURN_IF_ERROR(network.RunTimed(samples_[i], &outputs, &us));
      AddTimes(network, us, *profile);
    } else {
      PRECIS_RETURN_IF_ERROR(network.Run(samples_[i], &outputs));
    }
    for (size_t o = 0; o < outputs.size(); ++o) {
      if (outputs[o].dtype() != DataType::kF32) continue;
      stats::SampleDifference difference;
      const auto got = outputs[o].As<float>();
      difference.AddValues(wanted_[i][o], got);
      if (static_cast<int>(o) == class_output_) {
        const Shape& shape = outputs[o].shape();
        difference.AddPredictions(stats::Predictions(wanted_[i][o], shape), stats::Predictions(got, shape));
      }
      fidelity[o].Add(difference);
    }
  }
  Score score;
  for (size_t o = 0; o < fidelity.size(); ++o) {
    if (fidelity[o].samples() == 0) continue;
    const stats::Estimate sqnr = fidelity[o].SqnrDb();
    const auto add = [&](double db, double& worst) {
      const double noise = fidelity[o].nonfinite_samples() > 0 ? kMostNoise : std::pow(10, -db / 10);
      if (!std::isnan(noise)) worst = std::max(worst, std::min(noise, kMostNoise));
    };
    add(sqnr.value, score.noise);
    add(sqnr.interval ? sqnr.interval->low : sqnr.value, score.noise_high);
    if (static_cast<int>(o) == class_output_) score.disagreement = 1 - fidelity[o].Agreement().value;
  }
  return score;
}

int Measure::Timings() const {
  return std::clamp(static_cast<int>(kTimingUs / reference_us_), kFewestTimings, kMostTimings);
}

absl::StatusOr<double> Measure::TimeOf(CompiledNetwork& network) const {
  std::vector<double> own, f32;
  for (int r = 0; r < Timings(); ++r) {
    const auto& sample = samples_[static_cast<size_t>(r) % samples_.size()];
    for (auto [plan, times] : {std::pair{&network, &own}, std::pair{reference_.get(), &f32}}) {
      PRECIS_ASSIGN_OR_RETURN(const double us, MicrosecondsOf(*plan, sample));
      times->push_back(us);
    }
  }
  const auto median = [](std::vector<double>& times) {
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    return *middle;
  };
  return reference_us_ * median(own) / std::max(median(f32), 1e-3);
}

absl::StatusOr<std::vector<Profile>> Measure::ProfileAll(const std::vector<CompiledNetwork*>& networks) const {
  std::vector<Profile> profiles(networks.size());
  std::vector<Tensor> outputs;
  std::vector<double> us;
  for (int r = 0; r < Timings(); ++r) {
    for (size_t n = 0; n < networks.size(); ++n) {
      PRECIS_RETURN_IF_ERROR(networks[n]->RunTimed(samples_[static_cast<size_t>(r) % samples_.size()], &outputs, &us));
      AddTimes(*networks[n], us, profiles[n]);
    }
  }
  return profiles;
}

}  // namespace precis::search
