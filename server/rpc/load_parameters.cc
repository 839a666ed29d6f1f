#include "server/rpc/load_parameters.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "google/protobuf/util/json_util.h"
#include "server/config/precision_policy.h"

namespace precis::server {
namespace {

constexpr char kPolicyParameter[] = "precis_policy";
constexpr char kConfigParameter[] = "config";
constexpr char kFilePrefix[] = "file:";

// "int8" of INT8.
std::string NameOfPrecision(const v1::PrecisionPolicy& policy) {
  return absl::AsciiStrToLower(v1::PrecisionPolicy::Precision_Name(policy.precision()));
}

absl::Status ApplyPolicy(const std::string& text, LoadRequest* load) {
  if (CheckNamePart(text, "").ok()) {
    load->policy_name = text;
    if (load->name.variant.empty()) load->name.variant = text;
    return absl::OkStatus();
  }
  PRECIS_ASSIGN_OR_RETURN(const v1::PrecisionPolicy policy, ParsePolicyText(text));
  PRECIS_ASSIGN_OR_RETURN(load->policy, PolicyFromProto(policy));
  if (load->name.variant.empty()) load->name.variant = NameOfPrecision(policy);
  return absl::OkStatus();
}

absl::Status ApplyConfig(const std::string& json, LoadRequest* load) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &load->config.emplace(), options);
  if (status.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("parameter \"config\": ", std::string(status.message())));
}

}  // namespace

absl::StatusOr<ModelName> NameOf(const std::string& model, const std::string& variant) {
  PRECIS_ASSIGN_OR_RETURN(ModelName name, ParseModelName(model));
  if (variant.empty()) return name;
  PRECIS_RETURN_IF_ERROR(CheckNamePart(variant, "variant name"));
  if (!name.variant.empty() && name.variant != variant) {
    return absl::InvalidArgumentError(absl::StrCat("variant \"", variant, "\" beside model \"", model, "\""));
  }
  name.variant = variant;
  return name;
}

absl::StatusOr<LoadRequest> MakeLoadRequest(const inference::RepositoryModelLoadRequest& request) {
  LoadRequest load;
  PRECIS_ASSIGN_OR_RETURN(load.name, ParseModelName(request.model_name()));
  for (const auto& [name, value] : request.parameters()) {
    if (name == kPolicyParameter) {
      PRECIS_RETURN_IF_ERROR(ApplyPolicy(value.string_param(), &load));
    } else if (name == kConfigParameter) {
      PRECIS_RETURN_IF_ERROR(ApplyConfig(value.string_param(), &load));
    } else if (name.starts_with(kFilePrefix)) {
      return absl::UnimplementedError(absl::StrCat("parameter \"", name, "\": model files in a request"));
    } else {
      return absl::InvalidArgumentError(absl::StrCat("unknown parameter \"", name, "\""));
    }
  }
  return load;
}

absl::StatusOr<LoadRequest> MakeLoadRequest(const v1::LoadVariantRequest& request) {
  LoadRequest load;
  PRECIS_ASSIGN_OR_RETURN(load.name, NameOf(request.model(), request.variant()));
  PRECIS_ASSIGN_OR_RETURN(load.version, ParseVersion(request.version()));
  if (request.has_policy()) {
    PRECIS_ASSIGN_OR_RETURN(load.policy, PolicyFromProto(request.policy()));
    if (load.name.variant.empty()) load.name.variant = NameOfPrecision(request.policy());
  }
  load.recalibrate = request.recalibrate();
  for (const v1::InputShape& shape : request.warm_shapes()) {
    load.warm_shapes.emplace_back(shape.input(), Shape(shape.shape().begin(), shape.shape().end()));
  }
  return load;
}

}  // namespace precis::server
