// A stream's samples are gone when a variant is loaded, so what is kept of them says which network it belongs to, and the load checks that.
#include "engine/calibration.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/quant/samples.h"

namespace precis {
namespace {

// Samples of a stream that are kept for the search of a mixed variant.
constexpr size_t kKeptBytes = size_t{256} << 20;

class Files final : public CalibrationSource {
 public:
  static absl::StatusOr<std::unique_ptr<CalibrationSource>> Open(const ModelFile& file, const LoadOptions& options) {
    std::vector<quant::SampleInput> wanted;
    for (const TensorSpec& spec : file.inputs()) wanted.push_back({spec.name, spec.dtype, spec.shape});
    PRECIS_ASSIGN_OR_RETURN(auto samples, quant::OpenSamples(options.calibration_dir, wanted));
    PRECIS_ASSIGN_OR_RETURN(const std::vector<Tensor> first, samples->Sample(0));
    auto files = std::make_unique<Files>(file, options, std::move(samples));
    for (const Tensor& input : first) files->shapes_.push_back(input.shape());
    return std::unique_ptr<CalibrationSource>(std::move(files));
  }
  Files(const ModelFile& file, const LoadOptions& options, std::unique_ptr<quant::SampleSource> samples)
      : file_(file), options_(options), samples_(std::move(samples)) {}

  // The table of the cache, where there is one and it has it; else a new one, which goes there.
  absl::StatusOr<std::shared_ptr<const quant::CalibrationTable>> Table(const ir::Graph& graph,
                                                                       absl::FunctionRef<void(double)> report,
                                                                       VariantInfo* info) override {
    const std::string& folder = options_.cache;
    if (!folder.empty()) {
      PRECIS_ASSIGN_OR_RETURN(key_, quant::KeyOfCalibration(file_.path(), graph, options_.policy, *samples_));
      auto table = quant::ReadCalibration(folder, key_);
      info->calibration_recalled = table.ok();
      if (table.ok()) return table;
      if (!absl::IsNotFound(table.status())) info->cache_warning = std::string(table.status().message());
    }
    const auto runner = MakeCalibrationRunner(graph, info->threads);
    PRECIS_ASSIGN_OR_RETURN(auto table,
                            quant::Calibrate(graph, options_.policy, *runner, *samples_,
                                             [&](const std::string&, double fraction) { report(fraction); }));
    if (folder.empty()) return table;
    if (const absl::Status written = quant::WriteCalibration(folder, key_, *table); !written.ok())
      info->cache_warning = std::string(written.message());
    return table;
  }

  absl::StatusOr<const quant::SampleSource*> Samples() const override { return samples_.get(); }

 private:
  const ModelFile& file_;
  const LoadOptions& options_;
  const std::unique_ptr<quant::SampleSource> samples_;
};

class Stream final : public CalibrationSource {
 public:
  // What is in memory, or else what the cache remembers of the last stream; null when there is neither.
  static absl::StatusOr<std::unique_ptr<CalibrationSource>> Find(const ModelFile& file, const LoadOptions& options) {
    PRECIS_ASSIGN_OR_RETURN(const quant::CalibrationKey stream, quant::KeyOfStream(file.path(), options.policy));
    if (options.streamed != nullptr && options.streamed->stream == stream)
      return std::make_unique<Stream>(file, options, options.streamed, "");
    const std::string& folder = options.cache;
    if (folder.empty()) return nullptr;
    auto found = std::make_shared<Calibration>();
    found->stream = stream;
    auto note = quant::ReadStreamNote(folder, stream);
    if (absl::IsNotFound(note.status())) return nullptr;
    if (!note.ok()) return note.status();
    found->note = *std::move(note);
    PRECIS_ASSIGN_OR_RETURN(found->table, quant::ReadCalibration(folder, found->note.calibration));
    return std::make_unique<Stream>(file, options, std::move(found), folder);
  }
  Stream(const ModelFile& file, const LoadOptions& options, std::shared_ptr<const Calibration> found,
         const std::string& folder)
      : file_(file), options_(options), found_(std::move(found)), recalled_(!folder.empty()) {
    shapes_ = found_->note.input_shapes;
    key_ = found_->note.calibration;
  }

  absl::StatusOr<std::shared_ptr<const quant::CalibrationTable>> Table(const ir::Graph& graph,
                                                                       absl::FunctionRef<void(double)> /*report*/,
                                                                       VariantInfo* info) override {
    PRECIS_ASSIGN_OR_RETURN(const quant::CalibrationKey network,
                            quant::KeyOfNetwork(file_.path(), graph, options_.policy));
    if (network != found_->note.network)
      return absl::FailedPreconditionError(absl::StrCat("the samples calibrated other weights: ", Remedy()));
    info->calibration_recalled = recalled_;
    return found_->table;
  }

  absl::StatusOr<const quant::SampleSource*> Samples() const override {
    if (found_->samples != nullptr) return found_->samples.get();
    return absl::FailedPreconditionError(
        absl::StrCat("the search for mixed precision runs samples, and those of the calibration are gone: ", Remedy()));
  }

 private:
  std::string Remedy() const {
    return options_.policy.calibration.source == quant::CalibrationSource::kLive
               ? "calibrate on new requests (precis load --recalibrate)"
               : "stream them again (precis calibrate)";
  }

  const ModelFile& file_;
  const LoadOptions& options_;
  const std::shared_ptr<const Calibration> found_;
  const bool recalled_;
};

class KeptSamples : public quant::SampleSource {
 public:
  void Keep(std::vector<Tensor> sample) { samples_.push_back(std::move(sample)); }
  int64_t size() const override { return static_cast<int64_t>(samples_.size()); }
  absl::StatusOr<std::vector<Tensor>> Sample(int64_t index) const override {
    std::vector<Tensor> sample;
    for (const Tensor& t : samples_.at(static_cast<size_t>(index))) sample.push_back(t.Clone());
    return sample;
  }

 private:
  std::vector<std::vector<Tensor>> samples_;
};

class CalibrationRunImpl : public CalibrationRun {
 public:
  CalibrationRunImpl(std::shared_ptr<const ModelFile> file, const LoadOptions& options)
      : file_(std::move(file)), policy_(options.policy), threads_(std::max(1, options.threads)) {
    if (policy_.precision == quant::Precision::kMixed) kept_ = std::make_shared<KeptSamples>();
  }

  absl::Status Add(const std::vector<TensorView>& inputs) override {
    if (absl::Status status = CheckInputs(file_->inputs(), inputs); !status.ok())
      return absl::Status(status.code(),
                          absl::StrCat("calibration sample ", samples(), ": ", std::string(status.message())));
    if (calibrator_ == nullptr) PRECIS_RETURN_IF_ERROR(Prepare(inputs));
    std::vector<Tensor> sample;
    size_t bytes = 0;
    for (const TensorView& input : inputs) {
      sample.push_back(Tensor::CopyOf(input));
      bytes += input.size_bytes();
    }
    PRECIS_RETURN_IF_ERROR(calibrator_->Add(sample));
    hash_.Add(sample);
    if (kept_ != nullptr && kept_bytes_ + bytes <= kKeptBytes) {
      kept_->Keep(std::move(sample));
      kept_bytes_ += bytes;
    }
    return absl::OkStatus();
  }

  int64_t samples() const override { return calibrator_ == nullptr ? 0 : calibrator_->samples(); }
  bool full() const override {
    const int64_t limit = policy_.calibration.sample_limit;
    return limit > 0 && samples() >= limit;
  }

  absl::StatusOr<std::shared_ptr<const Calibration>> Finish() override {
    if (samples() == 0) return absl::FailedPreconditionError("there are no calibration samples");
    auto result = std::make_shared<Calibration>();
    PRECIS_ASSIGN_OR_RETURN(result->table, calibrator_->Finish());
    PRECIS_ASSIGN_OR_RETURN(result->stream, quant::KeyOfStream(file_->path(), policy_));
    PRECIS_ASSIGN_OR_RETURN(result->note.network, quant::KeyOfNetwork(file_->path(), *graph_, policy_));
    result->note.calibration = hash_.KeyWith(result->note.network);
    result->note.input_shapes = shapes_;
    if (kept_ != nullptr && kept_->size() > 0) result->samples = std::move(kept_);
    return result;
  }

 private:
  absl::Status Prepare(const std::vector<TensorView>& inputs) {
    shapes_.clear();
    for (const TensorView& input : inputs) shapes_.push_back(input.shape);
    PRECIS_ASSIGN_OR_RETURN(graph_, Optimise(*file_, shapes_));
    PRECIS_RETURN_IF_ERROR(quant::CheckOverrides(*graph_, policy_));
    runner_ = MakeCalibrationRunner(*graph_, threads_);
    PRECIS_ASSIGN_OR_RETURN(calibrator_, quant::Calibrator::Create(*graph_, policy_, *runner_));
    return absl::OkStatus();
  }

  const std::shared_ptr<const ModelFile> file_;
  const quant::Policy policy_;
  const int threads_;
  std::vector<Shape> shapes_;
  std::optional<ir::Graph> graph_;  // made for the first sample, with the two that look at it
  std::unique_ptr<quant::Runner> runner_;
  std::unique_ptr<quant::Calibrator> calibrator_;
  quant::SamplesHash hash_;
  std::shared_ptr<KeptSamples> kept_;  // null: nobody will run them again
  size_t kept_bytes_ = 0;
};

}  // namespace

std::shared_ptr<const Calibration> WithoutSamples(const std::shared_ptr<const Calibration>& calibration) {
  if (calibration == nullptr || calibration->samples == nullptr) return calibration;
  auto rest = std::make_shared<Calibration>(*calibration);
  rest->samples = nullptr;
  return rest;
}

absl::Status Remember(const Calibration& calibration, const std::string& cache) {
  if (cache.empty()) return absl::OkStatus();
  // The table first: a note names one that is there.
  PRECIS_RETURN_IF_ERROR(quant::WriteCalibration(cache, calibration.note.calibration, *calibration.table));
  return quant::WriteStreamNote(cache, calibration.stream, calibration.note);
}

absl::StatusOr<std::unique_ptr<CalibrationSource>> CalibrationSource::Open(const ModelFile& file,
                                                                           const LoadOptions& options) {
  using Source = quant::CalibrationSource;
  const Source wanted = options.policy.calibration.source;
  absl::StatusOr<std::unique_ptr<CalibrationSource>> files(nullptr);
  if (wanted != Source::kStream && wanted != Source::kLive) {
    files = Files::Open(file, options);
    if (files.ok() || wanted == Source::kFiles || !absl::IsFailedPrecondition(files.status())) return files;
  }
  PRECIS_ASSIGN_OR_RETURN(auto stream, Stream::Find(file, options));
  if (stream != nullptr) return stream;
  if (wanted == Source::kLive)
    return absl::FailedPreconditionError(
        "calibration.source is LIVE_TRAFFIC, and nothing was learned from requests for this model under this policy: a "
        "server that answers some can");
  if (wanted != Source::kStream)
    return absl::FailedPreconditionError(
        absl::StrCat(std::string(files.status().message()), "; or send them: precis calibrate MODEL --data=DIR"));
  return absl::FailedPreconditionError(
      "calibration.source is STREAM, and no samples have been streamed for this model under this policy: send them "
      "with Calibrate (precis "
      "calibrate MODEL --data=DIR)");
}

absl::StatusOr<std::unique_ptr<CalibrationRun>> MakeCalibrationRun(std::shared_ptr<const ModelFile> file,
                                                                   const LoadOptions& options) {
  if (!quant::NeedsCalibration(options.policy))
    return absl::InvalidArgumentError("no layer of this variant is an int8 one: it needs no calibration");
  // Samples may be long in coming: what they cannot change is said before.
  if (!options.policy.overrides.empty()) {
    const auto graph = Optimise(*file, DefaultShapes(file->inputs()));
    if (graph.ok()) PRECIS_RETURN_IF_ERROR(quant::CheckOverrides(*graph, options.policy));
  }
  return std::make_unique<CalibrationRunImpl>(std::move(file), options);
}

}  // namespace precis
