#include "server/config/repository.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/config/model_config.h"
#include "server/config/model_name.h"
#include "server/config/precision_policy.h"
#include "server/config/text_proto.h"
#include "server/config/traffic.h"

namespace precis::server {
namespace {

namespace fs = std::filesystem;

constexpr char kDefaultModelFile[] = "model.onnx";

// Appends path, size and modification time.
void AddToFingerprint(const fs::path& path, std::string* fingerprint) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  const auto time = fs::last_write_time(path, error);
  if (error) return;
  absl::StrAppend(fingerprint, path.string(), ":", size, ":", static_cast<int64_t>(time.time_since_epoch().count()),
                  ";");
}

// The entries of a folder, sorted; empty when it cannot be read.
std::vector<fs::path> Entries(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    entries.push_back(it->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

absl::Status ReadConfigFiles(const fs::path& directory, ModelSource* source) {
  std::error_code error;
  if (const fs::path file = directory / "config.pbtxt"; fs::exists(file, error)) {
    PRECIS_RETURN_IF_ERROR(ParseTextProtoFile(file.string(), UnknownFields::kWarn, &source->config, &source->warnings));
    PRECIS_ASSIGN_OR_RETURN(auto warnings, CheckModelConfig(source->config, source->name));
    for (std::string& warning : warnings) source->warnings.push_back(absl::StrCat("config.pbtxt: ", warning));
  }
  if (const fs::path file = directory / "precision.textproto"; fs::exists(file, error)) {
    PRECIS_RETURN_IF_ERROR(ParseTextProtoFile(file.string(), UnknownFields::kError, &source->precision, nullptr));
    std::set<std::string> names;
    for (const auto& named : source->precision.policies()) {
      PRECIS_RETURN_IF_ERROR(CheckNamePart(named.name(), "precision.textproto: policy name"));
      if (!names.insert(named.name()).second) {
        return absl::InvalidArgumentError(absl::StrCat("precision.textproto: policy \"", named.name(), "\" twice"));
      }
    }
    const auto known = VariantNames(source->precision);
    const auto check_known = [&known](absl::string_view field, const std::string& name) {
      if (std::find(known.begin(), known.end(), name) != known.end()) return absl::OkStatus();
      return absl::InvalidArgumentError(absl::StrCat("precision.textproto: ", field, " \"", name, "\" is unknown"));
    };
    if (const std::string& name = source->precision.default_variant(); !name.empty()) {
      PRECIS_RETURN_IF_ERROR(check_known("default_variant", name));
    }
    if (const absl::Status status = CheckTraffic(source->precision.traffic()); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("precision.textproto: ", status.message()));
    }
    for (const std::string& name : VariantsOf(source->precision.traffic())) {
      PRECIS_RETURN_IF_ERROR(check_known("traffic: variant", name));
    }
    if (const absl::Status status = CheckDrift(source->precision.drift()); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("precision.textproto: ", status.message()));
    }
    PRECIS_RETURN_IF_ERROR(check_known("drift: baseline", BaselineOf(source->precision)));
    for (const v1::DriftAlert& alert : source->precision.drift().alerts()) {
      PRECIS_RETURN_IF_ERROR(check_known("drift: variant", alert.variant()));
    }
  }
  return absl::OkStatus();
}

// Numbered folders that hold the model's file.
std::map<int64_t, std::string> FindVersions(const fs::path& directory, const std::string& file_name) {
  std::map<int64_t, std::string> versions;
  std::error_code error;
  for (const fs::path& entry : Entries(directory)) {
    const auto version = ParseVersion(entry.filename().string());
    if (!version.ok() || *version == 0 || !fs::is_regular_file(entry / file_name, error)) continue;
    versions[*version] = (entry / file_name).string();
  }
  return versions;
}

absl::Status ApplyVersionPolicy(const inference::ModelVersionPolicy& policy, std::map<int64_t, std::string>* versions) {
  if (policy.has_all()) return absl::OkStatus();
  if (policy.has_specific()) {
    std::map<int64_t, std::string> chosen;
    for (int64_t version : policy.specific().versions()) {
      const auto it = versions->find(version);
      if (it == versions->end())
        return absl::NotFoundError(absl::StrCat("version_policy: there is no version ", version));
      chosen.insert(*it);
    }
    *versions = std::move(chosen);
    return absl::OkStatus();
  }
  const size_t latest = std::max<size_t>(1, policy.latest().num_versions());
  while (versions->size() > latest) versions->erase(versions->begin());
  return absl::OkStatus();
}

absl::Status ReadModelDirectory(const fs::path& directory, ModelSource* source) {
  PRECIS_RETURN_IF_ERROR(ReadConfigFiles(directory, source));
  std::string file_name = source->config.default_model_filename();
  if (file_name.empty()) file_name = kDefaultModelFile;
  if (fs::path(file_name).filename() != file_name) {
    return absl::InvalidArgumentError(
        absl::StrCat("default_model_filename \"", file_name, "\": want a plain file name"));
  }
  source->versions = FindVersions(directory, file_name);
  if (source->versions.empty()) {
    return absl::NotFoundError(absl::StrCat("no version: want ", (directory / "1" / file_name).string()));
  }
  return ApplyVersionPolicy(source->config.version_policy(), &source->versions);
}

ModelSource ReadModel(const std::string& name, const fs::path& path) {
  ModelSource source;
  source.name = name;
  std::error_code error;
  const bool is_directory = fs::is_directory(path, error);
  const fs::path home = is_directory ? path : path.parent_path();
  source.folder = home.empty() ? "." : home.string();
  source.calibration_dir = (home / "calibration").string();
  if (is_directory) {
    source.status = ReadModelDirectory(path, &source);
  } else if (fs::is_regular_file(path, error)) {
    source.versions[1] = path.string();
  } else {
    source.status = absl::NotFoundError(absl::StrCat(path.string(), ": no such file"));
  }
  if (!source.status.ok()) source.versions.clear();
  for (const auto& [version, file] : source.versions) {
    absl::StrAppend(&source.fingerprint, version, ";");
    if (is_directory) {  // with the files of external data beside it
      for (const fs::path& entry : Entries(fs::path(file).parent_path())) AddToFingerprint(entry, &source.fingerprint);
    } else {
      AddToFingerprint(file, &source.fingerprint);
    }
  }
  AddToFingerprint(home / "config.pbtxt", &source.fingerprint);
  AddToFingerprint(home / "precision.textproto", &source.fingerprint);
  for (const fs::path& entry : Entries(source.calibration_dir)) AddToFingerprint(entry, &source.fingerprint);
  return source;
}

}  // namespace

Repository::Repository(std::string directory, std::vector<NamedPath> models)
    : directory_(std::move(directory)), models_(std::move(models)) {}

absl::StatusOr<std::map<std::string, ModelSource>> Repository::Scan() const {
  std::map<std::string, ModelSource> sources;
  for (const NamedPath& model : models_) sources[model.name] = ReadModel(model.name, model.path);
  if (directory_.empty()) return sources;
  std::error_code error;
  if (!fs::is_directory(directory_, error)) {
    return absl::NotFoundError(absl::StrCat("model repository ", directory_, ": not a folder"));
  }
  for (const fs::path& entry : Entries(directory_)) {
    const std::string name = entry.filename().string();
    if (!fs::is_directory(entry, error) || !CheckNamePart(name, "model name").ok()) continue;
    if (!sources.contains(name)) sources[name] = ReadModel(name, entry);
  }
  return sources;
}

absl::StatusOr<ModelSource> Repository::Find(const std::string& name) const {
  PRECIS_RETURN_IF_ERROR(CheckNamePart(name, "model name"));
  for (const NamedPath& model : models_) {
    if (model.name == name) return ReadModel(name, model.path);
  }
  std::error_code error;
  const fs::path directory = fs::path(directory_) / name;
  if (directory_.empty() || !fs::is_directory(directory, error)) {
    return absl::NotFoundError(absl::StrCat("unknown model \"", name, "\""));
  }
  return ReadModel(name, directory);
}

}  // namespace precis::server
