#include "server/config/weight_policy.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/config/policy_field.h"

namespace precis::server {
namespace {

absl::StatusOr<quant::WeightScheme> SchemeOf(v1::WeightPolicy::Scheme scheme) {
  switch (scheme) {
    case v1::WeightPolicy::SCHEME_UNSPECIFIED:
    case v1::WeightPolicy::AFFINE: return quant::WeightScheme::kAffine;
    case v1::WeightPolicy::LOG2: return quant::WeightScheme::kLog2;
    case v1::WeightPolicy::CODEBOOK: return quant::WeightScheme::kCodebook;
    case v1::WeightPolicy::TERNARY: return quant::WeightScheme::kTernary;
    case v1::WeightPolicy::BINARY: return quant::WeightScheme::kBinary;
    default: return Bad("weights.scheme", "unknown value");
  }
}

v1::WeightPolicy::Scheme SchemeToProto(quant::WeightScheme scheme) {
  switch (scheme) {
    case quant::WeightScheme::kAffine: return v1::WeightPolicy::AFFINE;
    case quant::WeightScheme::kLog2: return v1::WeightPolicy::LOG2;
    case quant::WeightScheme::kCodebook: return v1::WeightPolicy::CODEBOOK;
    case quant::WeightScheme::kTernary: return v1::WeightPolicy::TERNARY;
    case quant::WeightScheme::kBinary: return v1::WeightPolicy::BINARY;
  }
  return v1::WeightPolicy::SCHEME_UNSPECIFIED;
}

absl::Status ApplyScheme(const v1::WeightPolicy& proto, quant::WeightPolicy* weights) {
  PRECIS_ASSIGN_OR_RETURN(weights->scheme, SchemeOf(proto.scheme()));
  const auto [fewest, most, usual] = quant::BitsOf(weights->scheme);
  const absl::string_view scheme = quant::SchemeName(weights->scheme);
  const int bits = weights->bits = proto.bits() == 0 ? usual : proto.bits();
  if (bits < fewest || bits > most) {
    const std::string want = fewest == most ? absl::StrCat(most) : absl::StrCat(fewest, " to ", most);
    std::string why;
    if (weights->scheme == quant::WeightScheme::kLog2 && bits > most && bits <= 8) {
      why = absl::StrCat(": of ", (1 << (bits - 1)) - 1, " powers of two the smallest would be 2^-",
                         (1 << (bits - 1)) - 2, " of the largest, and levels of 8 bits end at 2^-6");
    }
    return Bad("weights.bits", absl::StrCat(bits, ", want ", want, " with scheme ", scheme, why));
  }
  if (weights->scheme != quant::WeightScheme::kAffine && proto.has_symmetric() && !proto.symmetric()) {
    return Bad("weights.symmetric",
               absl::StrCat("false contradicts scheme ", scheme, ", whose levels need no zero point"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyWeights(const v1::WeightPolicy& proto, quant::Execution execution, quant::WeightPolicy* weights) {
  if (proto.group_size() < 0) return Bad("weights.group_size", "negative");
  if (proto.group_size() > 0 && proto.granularity() != v1::WeightPolicy::PER_GROUP) {
    return Bad("weights.group_size", "needs granularity PER_GROUP");
  }
  PRECIS_RETURN_IF_ERROR(ApplyScheme(proto, weights));
  switch (proto.granularity()) {
    case v1::WeightPolicy::GRANULARITY_UNSPECIFIED:
    case v1::WeightPolicy::PER_CHANNEL: weights->granularity = quant::Granularity::kPerChannel; break;
    case v1::WeightPolicy::PER_TENSOR: weights->granularity = quant::Granularity::kPerTensor; break;
    case v1::WeightPolicy::PER_GROUP:
      if (proto.group_size() == 0) return Bad("weights.group_size", "PER_GROUP needs at least 1");
      weights->granularity = quant::Granularity::kPerGroup;
      weights->group_size = proto.group_size();
      break;
    default: return Bad("weights.granularity", "unknown value");
  }
  if (proto.has_symmetric() && !proto.symmetric()) {
    // oneDNN 3.7.2 has no integer convolution whose weights have zero points, and for products its reference kernel alone.
    if (execution != quant::Execution::kSimulated)
      return NotYet("weights.symmetric", "false without execution SIMULATED");
    weights->symmetric = false;
  }
  return absl::OkStatus();
}

v1::WeightPolicy WeightsToProto(const quant::WeightPolicy& weights) {
  v1::WeightPolicy proto;
  proto.set_bits(weights.bits);
  proto.set_scheme(SchemeToProto(weights.scheme));
  switch (weights.granularity) {
    case quant::Granularity::kPerTensor: proto.set_granularity(v1::WeightPolicy::PER_TENSOR); break;
    case quant::Granularity::kPerChannel: proto.set_granularity(v1::WeightPolicy::PER_CHANNEL); break;
    case quant::Granularity::kPerGroup: proto.set_granularity(v1::WeightPolicy::PER_GROUP); break;
  }
  proto.set_group_size(weights.group_size);
  proto.set_symmetric(weights.symmetric);
  return proto;
}

}  // namespace precis::server
