// The four steps of search.h in order, each under a bound on its time so that large networks search on fewer samples instead of longer.
#include "engine/search/search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/quant/operators.h"
#include "engine/search/cost_model.h"
#include "engine/search/measure.h"
#include "engine/search/solver.h"

namespace precis::search {
namespace {

using quant::Precision;

constexpr double kSensitivityUs = 6e6;  // running all layers alone, compilation not counted
constexpr int64_t kFewestSensitivitySamples = 2, kMostSensitivitySamples = 24;
constexpr int kMostCorrections = 8;  // networks tried for the budget
constexpr double kSlackDb = 0.1;     // a network this close above its budget is not improved further
constexpr int kCurvePoints = 6;      // further networks, spread over the range of SQNR
constexpr double kSharesOfProgress[] = {0.1, 0.6,
                                        1.0};  // ends of the steps: uniform networks, sensitivity, verification

double ToDb(double noise_ratio) {
  return noise_ratio > 0 ? -10 * std::log10(noise_ratio) : std::numeric_limits<double>::infinity();
}
double FromDb(double db) { return std::pow(10, -db / 10); }

// A network that was run.
struct Trial {
  Assignment assignment;
  Point point;
};

class Searcher {
 public:
  Searcher(const ir::Graph& graph, const quant::Policy& policy, Compiler& compiler, const quant::SampleSource& samples,
           const quant::Progress& progress)
      : graph_(graph), policy_(policy), compiler_(compiler), source_(samples), progress_(progress) {}

  absl::StatusOr<Found> Run() {
    PRECIS_RETURN_IF_ERROR(FindLayers());
    if (std::all_of(problem_.allowed.begin(), problem_.allowed.end(), [](const auto& a) { return a.size() == 1; }))
      return Found{policy_, {}};
    Tell(0);
    PRECIS_ASSIGN_OR_RETURN(measure_, Measure::Create(graph_, compiler_, source_, policy_.calibration.sample_limit));
    PRECIS_RETURN_IF_ERROR(RunUniformNetworks());
    PRECIS_RETURN_IF_ERROR(MeasureSensitivity());
    PRECIS_RETURN_IF_ERROR(MeetBudget());
    PRECIS_RETURN_IF_ERROR(DrawCurve());
    return Conclude();
  }

 private:
  size_t NumCandidates() const { return candidates_.size(); }
  const std::string& NameOf(size_t layer) const { return graph_.node(layers_[layer]).name; }
  void Tell(double fraction) const {
    if (progress_) progress_("search", std::min(1.0, fraction));
  }

  // --- 0. What there is to choose ---

  absl::Status FindLayers() {
    candidates_ = policy_.mixed.candidates;
    if (candidates_.empty()) candidates_ = {Precision::kInt8, Precision::kBF16, Precision::kF32};
    // Coarsest first. bf16 has 8 significant bits, f16 has 11.
    const auto rank = [](Precision p) {
      switch (p) {
        case Precision::kInt8: return 0;
        case Precision::kBF16: return 1;
        case Precision::kF16: return 2;
        default: return 3;
      }
    };
    std::sort(candidates_.begin(), candidates_.end(), [&](Precision a, Precision b) { return rank(a) < rank(b); });
    candidates_.erase(std::unique(candidates_.begin(), candidates_.end()), candidates_.end());
    if (candidates_.size() < 2)
      return absl::InvalidArgumentError("policy field mixed.candidates: want two precisions or more to choose from");
    budget_ = policy_.mixed;
    budget_.candidates = candidates_;
    if (!budget_.min_sqnr_db && !budget_.max_top1_disagreement) budget_.min_sqnr_db = kDefaultMinSqnrDb;

    PRECIS_ASSIGN_OR_RETURN(const std::vector<ir::NodeId> order, graph_.TopologicalOrder());
    for (ir::NodeId id : order) {
      if (!quant::IsLayer(graph_.node(id).op)) continue;
      layers_.push_back(id);
      std::vector<int> allowed;
      const Precision pinned = quant::PolicyOfLayer(policy_, graph_.node(id).name).precision;
      for (size_t c = 0; c < NumCandidates(); ++c) {
        if (pinned == Precision::kMixed || pinned == candidates_[c]) allowed.push_back(static_cast<int>(c));
      }
      pinned_.push_back(pinned);
      // One pinned to a precision that is no candidate has nothing to choose either; candidate 0 stands for it.
      problem_.allowed.push_back(allowed.empty() ? std::vector<int>{0} : allowed);
    }
    if (Measure::ClassOutput(graph_) < 0 && budget_.max_top1_disagreement) {
      return absl::InvalidArgumentError(
          "policy field mixed.max_top1_disagreement: no output of the model holds class scores ([batch, classes])");
    }
    return absl::OkStatus();
  }

  // The policy that gives every layer its candidate: the overrides of the exceptions by name, then the user's own, then the rest.
  quant::Policy PolicyOf(const Assignment& assignment) const {
    std::vector<size_t> counts(NumCandidates());
    for (size_t l = 0; l < layers_.size(); ++l) {
      if (pinned_[l] == Precision::kMixed) ++counts[static_cast<size_t>(assignment[l])];
    }
    const auto most = static_cast<size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
    quant::Policy policy = policy_;
    policy.mixed = budget_;
    policy.overrides.clear();
    for (size_t l = 0; l < layers_.size(); ++l) {
      if (pinned_[l] != Precision::kMixed) continue;
      const auto own = std::find_if(policy_.overrides.begin(), policy_.overrides.end(),
                                    [&](const auto& o) { return quant::MatchesPattern(o.pattern, NameOf(l)); });
      const bool is_plain = own == policy_.overrides.end();
      if (is_plain && static_cast<size_t>(assignment[l]) == most) continue;
      quant::LayerOverride override;
      if (!is_plain) override = *own;
      override.pattern = NameOf(l);
      override.precision = candidates_[static_cast<size_t>(assignment[l])];
      policy.overrides.push_back(std::move(override));
    }
    policy.overrides.insert(policy.overrides.end(), policy_.overrides.begin(), policy_.overrides.end());
    quant::LayerOverride rest;
    rest.pattern = "*";
    rest.precision = candidates_[most];
    policy.overrides.push_back(std::move(rest));
    return policy;
  }

  Assignment Uniform(int candidate) const {
    Assignment assignment;
    for (const auto& allowed : problem_.allowed) assignment.push_back(allowed.size() == 1 ? allowed[0] : candidate);
    return assignment;
  }

  // --- 1. Networks at one precision ---

  static int64_t WeightBytes(const CompiledNetwork& network) {
    int64_t sum = 0;
    for (const CompiledLayer& layer : network.layers()) sum += layer.weight_bytes;
    return sum;
  }

  // Compiles, scores and times an assignment.
  absl::StatusOr<Trial> Try(const Assignment& assignment, std::unique_ptr<CompiledNetwork>* keep = nullptr) {
    Trial trial;
    trial.assignment = assignment;
    PRECIS_ASSIGN_OR_RETURN(auto network, compiler_.Compile(PolicyOf(assignment)));
    PRECIS_ASSIGN_OR_RETURN(const Score score, measure_->ScoreOf(*network, measure_->samples()));
    PRECIS_ASSIGN_OR_RETURN(trial.point.time_us, measure_->TimeOf(*network));
    for (size_t l = 0; l < layers_.size(); ++l) ++trial.point.layers[PrecisionOf(assignment, l)];
    trial.point.sqnr_db = trial.point.expected_sqnr_db = ToDb(score.noise);
    trial.point.sqnr_low_db = ToDb(score.noise_high);
    trial.point.top1_disagreement = score.disagreement;
    trial.point.weight_bytes = WeightBytes(*network);
    trial.point.meets_budget =
        (!budget_.min_sqnr_db || trial.point.sqnr_low_db >= *budget_.min_sqnr_db) &&
        (!budget_.max_top1_disagreement || *score.disagreement <= *budget_.max_top1_disagreement);
    if (keep != nullptr) *keep = std::move(network);
    return trial;
  }

  Precision PrecisionOf(const Assignment& assignment, size_t layer) const {
    return pinned_[layer] != Precision::kMixed ? pinned_[layer] : candidates_[static_cast<size_t>(assignment[layer])];
  }

  absl::Status RunUniformNetworks() {
    std::vector<std::unique_ptr<CompiledNetwork>> networks(NumCandidates());
    std::vector<CompiledNetwork*> profiled = {&measure_->reference()};
    for (size_t c = 0; c < NumCandidates(); ++c) {
      PRECIS_ASSIGN_OR_RETURN(Trial trial, Try(Uniform(static_cast<int>(c)), &networks[c]));
      profiled.push_back(networks[c].get());
      trials_.push_back(std::move(trial));
      Tell(kSharesOfProgress[0] * static_cast<double>(c + 1) / static_cast<double>(NumCandidates() + 1));
    }
    PRECIS_ASSIGN_OR_RETURN(std::vector<Profile> profiles, measure_->ProfileAll(profiled));
    const Profile f32 = std::move(profiles.front());
    profiles.erase(profiles.begin());
    latency_ = std::make_unique<LatencyModel>(graph_, layers_, candidates_, profiles, f32);
    for (Trial& trial : trials_) trial.point.expected_us = latency_->Microseconds(trial.assignment);
    weight_bytes_.assign(layers_.size(), std::vector<int64_t>(NumCandidates()));
    for (size_t c = 0; c < NumCandidates(); ++c) {
      absl::flat_hash_map<std::string, int64_t> bytes;
      for (const CompiledLayer& layer : networks[c]->layers()) bytes[layer.name] += layer.weight_bytes;
      for (size_t l = 0; l < layers_.size(); ++l) weight_bytes_[l][c] = bytes[NameOf(l)];
    }
    return absl::OkStatus();
  }

  // --- 2. Sensitivity ---

  absl::Status MeasureSensitivity() {
    const size_t layers = layers_.size();
    const double affordable = kSensitivityUs / (static_cast<double>(layers) * measure_->reference_us());
    sensitivity_samples_ =
        std::min(measure_->samples(),
                 std::clamp(static_cast<int64_t>(affordable), kFewestSensitivitySamples, kMostSensitivitySamples));
    problem_.noise.assign(layers, std::vector<double>(NumCandidates(), 0.0));
    alone_.resize(layers);
    for (size_t l = 0; l < layers; ++l) {
      if (problem_.allowed[l].size() > 1) PRECIS_RETURN_IF_ERROR(MeasureAlone(l));
      const double done = static_cast<double>(l + 1) / static_cast<double>(layers);
      Tell(kSharesOfProgress[0] + (kSharesOfProgress[1] - kSharesOfProgress[0]) * done);
    }
    double coarsest = 0;
    for (const auto& noise : problem_.noise) coarsest += noise[0];
    for (size_t c = 1; c < NumCandidates(); ++c) {
      const double noise = candidates_[c] == Precision::kF32 ? 0 : FromDb(trials_[c].point.sqnr_db);
      for (size_t l = 0; l < layers; ++l) {
        const double share = coarsest > 0 ? problem_.noise[l][0] / coarsest : 0;
        problem_.noise[l][c] = std::min(noise * share, problem_.noise[l][0]);
      }
    }
    problem_.cost = [this](const Assignment& assignment) {
      if (budget_.objective == quant::Objective::kLatency) return latency_->Microseconds(assignment);
      double sum = 0;
      for (size_t l = 0; l < assignment.size(); ++l)
        sum += static_cast<double>(weight_bytes_[l][static_cast<size_t>(assignment[l])]);
      return sum;
    };
    path_ = GreedyPath(problem_);
    return absl::OkStatus();
  }

  absl::Status MeasureAlone(size_t layer) {
    quant::Policy policy = policy_;
    policy.precision = Precision::kF32;
    quant::LayerOverride alone;
    for (const quant::LayerOverride& own : policy_.overrides) {  // weights of its own
      if (quant::MatchesPattern(own.pattern, NameOf(layer))) {
        alone = own;
        break;
      }
    }
    alone.pattern = NameOf(layer);
    alone.precision = candidates_[0];
    policy.overrides = {std::move(alone)};
    PRECIS_ASSIGN_OR_RETURN(const auto network, compiler_.Compile(policy));
    Profile profile;
    PRECIS_ASSIGN_OR_RETURN(alone_[layer], measure_->ScoreOf(*network, sensitivity_samples_, &profile));
    problem_.noise[layer][0] = alone_[layer].noise;
    latency_->AddAlone(layer, 0, profile);
    return absl::OkStatus();
  }

  // --- 3 and 4. Networks that keep the budget ---

  // Runs an assignment unless it has been; the trial's place in trials_.
  absl::StatusOr<size_t> TryOnce(const Assignment& assignment) {
    for (size_t i = 0; i < trials_.size(); ++i) {
      if (trials_[i].assignment == assignment) return i;
    }
    PRECIS_ASSIGN_OR_RETURN(Trial trial, Try(assignment));
    trial.point.expected_sqnr_db = ToDb(NoiseOf(problem_, assignment));
    trial.point.expected_us = latency_->Microseconds(assignment);
    trials_.push_back(std::move(trial));
    return trials_.size() - 1;
  }

  absl::Status MeetBudget() {
    // The bound on the expected noise: `allowed` is what the budget says, divided by how much the last network's noise exceeded its sum.
    const double allowed = budget_.min_sqnr_db ? FromDb(*budget_.min_sqnr_db) : NoiseOf(problem_, path_.front());
    double bound = allowed;
    for (int i = 0; i < kMostCorrections; ++i) {
      Tell(kSharesOfProgress[1] + 0.25 * i / kMostCorrections);
      const Assignment assignment = Cheapest(problem_, path_, bound);
      const size_t before = trials_.size();
      PRECIS_ASSIGN_OR_RETURN(const size_t at, TryOnce(assignment));
      const Point& point = trials_[at].point;
      const double expected = NoiseOf(problem_, assignment), seen = FromDb(point.sqnr_low_db);
      if (point.meets_budget) {
        const bool tight = !budget_.min_sqnr_db || point.sqnr_low_db < *budget_.min_sqnr_db + kSlackDb;
        if (tight || at < before || seen <= 0 || expected <= 0) break;
        bound = allowed * expected / seen;  // room is left
      } else if (budget_.min_sqnr_db && point.sqnr_low_db < *budget_.min_sqnr_db && seen > 0) {
        if (expected <= 0) break;  // nothing more exact to choose
        bound = std::min(bound, expected) * std::min(allowed / seen, 0.97);
      } else {
        if (expected <= 0) break;
        bound = std::min(bound, expected) / 2;  // too many predictions changed
      }
    }
    return absl::OkStatus();
  }

  absl::Status DrawCurve() {
    const double coarse = NoiseOf(problem_, path_.front());
    const double fine = std::max(NoiseOf(problem_, path_.back()), coarse * 1e-3);
    for (int i = 1; i <= kCurvePoints; ++i) {
      const double share = static_cast<double>(i) / (kCurvePoints + 1);
      PRECIS_RETURN_IF_ERROR(TryOnce(Cheapest(problem_, path_, coarse * std::pow(fine / coarse, share))).status());
      Tell(kSharesOfProgress[1] + 0.25 + (kSharesOfProgress[2] - kSharesOfProgress[1] - 0.25) * share);
    }
    return absl::OkStatus();
  }

  // Sums of parts that were measured side by side order networks better than whole runs minutes apart on a busy machine.
  double CostOf(const Point& point) const {
    return budget_.objective == quant::Objective::kLatency ? point.expected_us
                                                           : static_cast<double>(point.weight_bytes);
  }

  // The cheapest trial within the budget, or the one nearest to it.
  size_t Choose() const {
    const auto better = [&](const Trial& a, const Trial& b) {
      if (a.point.meets_budget != b.point.meets_budget) return a.point.meets_budget;
      if (a.point.meets_budget) return CostOf(a.point) < CostOf(b.point);
      if (!budget_.min_sqnr_db) return *a.point.top1_disagreement < *b.point.top1_disagreement;
      return a.point.sqnr_low_db > b.point.sqnr_low_db;
    };
    return static_cast<size_t>(std::min_element(trials_.begin(), trials_.end(), better) - trials_.begin());
  }

  std::string ReasonFor(const Point& best) const {
    if (best.meets_budget) return "";
    std::string reason;
    if (budget_.min_sqnr_db && best.sqnr_low_db < *budget_.min_sqnr_db) {
      reason = absl::StrFormat(
          "the best network found reaches %.1f dB (at least %.1f with 95 %% confidence) of the %.1f dB asked for",
          best.sqnr_db, best.sqnr_low_db, *budget_.min_sqnr_db);
    } else {
      reason = absl::StrFormat("the best network found changes %.1f %% of the predictions, %.1f %% may change",
                               100 * *best.top1_disagreement, 100 * *budget_.max_top1_disagreement);
    }
    const bool has_f32 = candidates_.back() == Precision::kF32;
    const bool pins = std::any_of(pinned_.begin(), pinned_.end(), [](Precision p) { return p != Precision::kMixed; });
    if (!has_f32) absl::StrAppend(&reason, "; FP32 is not among the candidates");
    if (pins) absl::StrAppend(&reason, "; overrides fix the precision of some layers");
    return reason;
  }

  Found Conclude() {
    const size_t chosen = Choose();
    trials_[chosen].point.chosen = true;
    Found found;
    found.policy = PolicyOf(trials_[chosen].assignment);
    Report& report = found.report;
    report.budget = budget_;
    report.coarsest = candidates_[0];
    report.samples = measure_->samples();
    report.sensitivity_samples = sensitivity_samples_;
    report.budget_met = trials_[chosen].point.meets_budget;
    report.reason = ReasonFor(trials_[chosen].point);
    for (size_t l = 0; l < layers_.size(); ++l) {
      LayerFinding finding;
      finding.name = NameOf(l);
      finding.chosen = PrecisionOf(trials_[chosen].assignment, l);
      finding.sqnr_db = ToDb(alone_[l].noise);
      finding.top1_disagreement = alone_[l].disagreement;
      for (size_t c = 0; c < NumCandidates(); ++c)
        finding.options.push_back(
            {candidates_[c], latency_->LayerMicroseconds(l, static_cast<int>(c)), weight_bytes_[l][c]});
      report.layers.push_back(std::move(finding));
    }
    for (const Trial& trial : trials_) report.points.push_back(trial.point);
    std::stable_sort(report.points.begin(), report.points.end(),
                     [](const Point& a, const Point& b) { return a.sqnr_db > b.sqnr_db; });
    double least = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < report.points.size(); ++i) {
      Point& point = report.points[i];
      point.is_pareto = CostOf(point) < least;
      least = std::min(least, CostOf(point));
    }
    Tell(1);
    return found;
  }

  const ir::Graph& graph_;
  const quant::Policy& policy_;
  Compiler& compiler_;
  const quant::SampleSource& source_;
  const quant::Progress& progress_;

  std::vector<Precision> candidates_;  // coarsest first
  quant::MixedPolicy budget_;
  std::vector<ir::NodeId> layers_;
  std::vector<Precision> pinned_;  // per layer: by an override, or kMixed

  std::unique_ptr<Measure> measure_;
  std::vector<Trial> trials_;  // one per candidate first
  std::unique_ptr<LatencyModel> latency_;
  std::vector<std::vector<int64_t>> weight_bytes_;  // per layer and candidate
  int64_t sensitivity_samples_ = 0;
  std::vector<Score> alone_;  // per layer
  Problem problem_;
  std::vector<Assignment> path_;
};

}  // namespace

absl::StatusOr<Found> Search(const ir::Graph& graph, const quant::Policy& policy, Compiler& compiler,
                             const quant::SampleSource& samples, const quant::Progress& progress) {
  return Searcher(graph, policy, compiler, samples, progress).Run();
}

}  // namespace precis::search
