#include "server/config/precision_policy.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace precis::server {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<quant::Policy> Parse(const std::string& text) {
  auto proto = ParsePolicyText(text);
  if (!proto.ok()) return proto.status();
  return PolicyFromProto(*proto);
}

TEST(PrecisionPolicyTest, ReadsTextAndJson) {
  const auto text = Parse("precision: INT8 calibration { method: PERCENTILE percentile: 99.9 sample_limit: 50 }");
  const auto json = Parse(R"({"precision": "INT8", "calibration": {"method": "PERCENTILE", "percentile": 99.9,
                              "sample_limit": 50}})");
  for (const auto& policy : {text, json}) {
    ASSERT_TRUE(policy.ok()) << policy.status();
    EXPECT_EQ(policy->precision, quant::Precision::kInt8);
    EXPECT_EQ(policy->calibration.method, quant::CalibrationMethod::kPercentile);
    EXPECT_EQ(policy->calibration.percentile, 99.9);
    EXPECT_EQ(policy->calibration.sample_limit, 50);
  }
}

TEST(PrecisionPolicyTest, LiveTrafficHasALimitOfItsOwn) {
  const auto with = [](const std::string& calibration) {
    const auto policy = Parse("precision: INT8 calibration { " + calibration + " }");
    EXPECT_TRUE(policy.ok()) << policy.status();
    return policy.ok() ? policy->calibration.sample_limit : -1;
  };
  EXPECT_EQ(with("source: LIVE_TRAFFIC"), 100);
  EXPECT_EQ(with("source: LIVE_TRAFFIC sample_limit: 7"), 7);
  EXPECT_EQ(with("source: STREAM"), 0);
  const auto policy = Parse("precision: MIXED calibration { source: LIVE_TRAFFIC }");
  EXPECT_EQ(policy->calibration.source, quant::CalibrationSource::kLive);
  EXPECT_EQ(PolicyToProto(*policy).calibration().source(), v1::CalibrationPolicy::LIVE_TRAFFIC);
  EXPECT_EQ(*PolicyFromProto(PolicyToProto(*policy)), *policy);
}

TEST(PrecisionPolicyTest, GoesThroughTheProtoAndBack) {
  quant::Policy policy;
  policy.precision = quant::Precision::kInt8;
  policy.weights.granularity = quant::Granularity::kPerTensor;
  policy.symmetric_activations = true;
  policy.bias_correction = false;
  policy.accumulation = {256, true};
  policy.weights.bits = 4;
  policy.execution = quant::Execution::kSimulated;
  for (auto method :
       {quant::CalibrationMethod::kDefault, quant::CalibrationMethod::kMinMax, quant::CalibrationMethod::kMovingAverage,
        quant::CalibrationMethod::kPercentile, quant::CalibrationMethod::kEntropy, quant::CalibrationMethod::kMse}) {
    policy.calibration.method = method;
    const auto back = PolicyFromProto(PolicyToProto(policy));
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->calibration.method, method);
    EXPECT_EQ(back->weights, policy.weights);
    EXPECT_TRUE(back->symmetric_activations);
    EXPECT_FALSE(back->bias_correction);
    EXPECT_EQ(back->accumulation, policy.accumulation);
    EXPECT_EQ(back->execution, policy.execution);
  }
  for (auto precision : {quant::Precision::kF32, quant::Precision::kBF16, quant::Precision::kF16}) {
    quant::Policy plain;
    plain.precision = precision;
    EXPECT_EQ(PolicyFromProto(PolicyToProto(plain))->precision, precision);
  }
}

TEST(PrecisionPolicyTest, OverridesGoThroughTheProtoAndBack) {
  const auto policy = Parse(
      "precision: BF16 calibration { method: MSE } overrides { pattern: 'head*' policy { precision: FP32 } } "
      "overrides { pattern: '*' policy { precision: INT8 } }");
  ASSERT_TRUE(policy.ok()) << policy.status();
  ASSERT_EQ(policy->overrides.size(), 2u);
  EXPECT_EQ(quant::PolicyOfLayer(*policy, "head.0").precision, quant::Precision::kF32);
  EXPECT_EQ(quant::PolicyOfLayer(*policy, "stem").precision, quant::Precision::kInt8);
  EXPECT_EQ(policy->calibration.method, quant::CalibrationMethod::kMse);
  const auto back = PolicyFromProto(PolicyToProto(*policy));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, *policy);
}

TEST(PrecisionPolicyTest, OverridesMaySetWeightsAndSums) {
  const auto policy = Parse(
      "precision: INT8 overrides { pattern: 'head*' policy { weights { granularity: PER_TENSOR } } } overrides { "
      "pattern: 'stem' policy { accumulation { mode: CHUNKED chunk_size: 64 } } }");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(quant::PolicyOfLayer(*policy, "head").weights.granularity, quant::Granularity::kPerTensor);
  EXPECT_EQ(quant::PolicyOfLayer(*policy, "stem").weights.granularity, quant::Granularity::kPerChannel);
  EXPECT_EQ(quant::PolicyOfLayer(*policy, "stem").accumulation.chunk_size, 64);
  EXPECT_EQ(quant::PolicyOfLayer(*policy, "stem").precision, quant::Precision::kInt8);
  const auto back = PolicyFromProto(PolicyToProto(*policy));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, *policy);
}

TEST(PrecisionPolicyTest, EveryFormOfLevelsGoesThroughTheProtoAndBack) {
  for (const std::string text :
       {"precision: INT8 weights { bits: 4 granularity: PER_GROUP group_size: 32 } activations { bits: 6 }",
        "precision: INT8 execution: SIMULATED weights { symmetric: false bits: 3 } activations { bits: 2 }",
        "precision: MIXED accumulation { mode: CHUNKED chunk_size: 64 per_chunk_scales: true }",
        "precision: FP32 overrides { pattern: 'a' policy { precision: INT8 } } accumulation { mode: CHUNKED "
        "chunk_size: 32 }",
        "precision: INT8 calibration { source: STREAM }",
        "precision: INT8 weights { granularity: PER_GROUP group_size: 32 } accumulation { mode: CHUNKED chunk_size: 32 "
        "}"}) {
    const auto policy = Parse(text);
    ASSERT_TRUE(policy.ok()) << text << ": " << policy.status();
    const auto back = PolicyFromProto(PolicyToProto(*policy));
    ASSERT_TRUE(back.ok()) << text << ": " << back.status();
    EXPECT_EQ(*back, *policy) << text;
  }
  const auto grouped =
      Parse("precision: INT8 weights { granularity: PER_GROUP group_size: 32 } activations { bits: 6 }");
  EXPECT_EQ(grouped->weights.granularity, quant::Granularity::kPerGroup);
  EXPECT_EQ(grouped->weights.group_size, 32);
  EXPECT_EQ(grouped->activation_bits, 6);
  EXPECT_EQ(Parse("precision: MIXED accumulation { mode: CHUNKED chunk_size: 64 }")->accumulation.chunk_size, 64);
}

TEST(PrecisionPolicyTest, SchemesHaveBitsOfTheirOwn) {
  const struct {
    std::string weights;
    quant::WeightScheme scheme;
    int bits;
  } cases[] = {
      {"", quant::WeightScheme::kAffine, 8},
      {"scheme: AFFINE", quant::WeightScheme::kAffine, 8},
      {"scheme: LOG2", quant::WeightScheme::kLog2, 4},
      {"scheme: LOG2 bits: 2", quant::WeightScheme::kLog2, 2},
      {"scheme: CODEBOOK", quant::WeightScheme::kCodebook, 4},
      {"scheme: CODEBOOK bits: 8 granularity: PER_TENSOR", quant::WeightScheme::kCodebook, 8},
      {"scheme: TERNARY symmetric: true", quant::WeightScheme::kTernary, 2},
      {"scheme: TERNARY bits: 2 granularity: PER_GROUP group_size: 64", quant::WeightScheme::kTernary, 2},
      {"scheme: BINARY", quant::WeightScheme::kBinary, 1},
      {"scheme: BINARY bits: 1", quant::WeightScheme::kBinary, 1},
  };
  for (const auto& c : cases) {
    for (const std::string& text :
         {"precision: INT8 weights { " + c.weights + " }",
          "precision: INT8 overrides { pattern: 'a' policy { weights { " + c.weights + " } } }"}) {
      const auto policy = Parse(text);
      ASSERT_TRUE(policy.ok()) << text << ": " << policy.status();
      EXPECT_EQ(quant::PolicyOfLayer(*policy, "a").weights.scheme, c.scheme) << text;
      EXPECT_EQ(quant::PolicyOfLayer(*policy, "a").weights.bits, c.bits) << text;
      const auto back = PolicyFromProto(PolicyToProto(*policy));
      ASSERT_TRUE(back.ok()) << text << ": " << back.status();
      EXPECT_EQ(*back, *policy) << text;
    }
  }
}

TEST(PrecisionPolicyTest, SaysWhyPowersOfTwoEndAtFourBits) {
  const auto policy = Parse("precision: INT8 weights { scheme: LOG2 bits: 5 }");
  EXPECT_TRUE(absl::IsInvalidArgument(policy.status()));
  EXPECT_THAT(std::string(policy.status().message()), HasSubstr("15 powers of two the smallest would be 2^-14"));
}

TEST(PrecisionPolicyTest, MixedGoesThroughTheProtoAndBack) {
  const auto policy = Parse(
      "precision: MIXED calibration { method: MSE } mixed { candidates: [INT8, FP16] min_sqnr_db: 25 "
      "max_top1_disagreement: 0.01 objective: MEMORY } overrides { pattern: 'head' policy { precision: FP32 } }");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->precision, quant::Precision::kMixed);
  EXPECT_EQ(policy->mixed.candidates, (std::vector{quant::Precision::kInt8, quant::Precision::kF16}));
  EXPECT_EQ(policy->mixed.min_sqnr_db, 25);
  EXPECT_EQ(policy->mixed.max_top1_disagreement, 0.01);
  EXPECT_EQ(policy->mixed.objective, quant::Objective::kMemory);
  EXPECT_EQ(policy->calibration.method, quant::CalibrationMethod::kMse);
  const auto back = PolicyFromProto(PolicyToProto(*policy));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, *policy);
}

TEST(PrecisionPolicyTest, AccumulatorsGoThroughTheProtoAndBack) {
  using ir::Accumulator;
  struct Case {
    std::string text;
    quant::AccumulationPolicy want;
  };
  for (const Case& c : std::vector<Case>{
           {"precision: FP16 accumulation { mode: CHUNKED chunk_size: 64 accumulator: F16 outer: OUTER_SAME }",
            {64, false, Accumulator::kF16, true}},
           {"precision: FP32 accumulation { accumulator: FP16_169 }", {0, false, Accumulator::kFp16_169, false}},
           {"precision: BF16 accumulation { mode: FULL accumulator: BF16 }", {0, false, Accumulator::kBF16, false}},
           {"precision: FP32 accumulation { mode: CHUNKED chunk_size: 64 }", {64, false, Accumulator::kF32, false}},
           {"precision: FP32 accumulation { accumulator: F32 }", {}},
           {"precision: INT8 accumulation { accumulator: S32 }", {}},
           {"precision: INT8 accumulation { accumulator: S16 }", {0, false, Accumulator::kS16, false}},
           {"precision: INT8 accumulation { mode: CHUNKED chunk_size: 32 accumulator: S16 per_chunk_scales: true }",
            {32, true, Accumulator::kS16, false}},
           {"precision: INT8 execution: SIMULATED weights { granularity: PER_GROUP group_size: 32 } accumulation { "
            "mode: "
            "CHUNKED chunk_size: 64 accumulator: F16 }",
            {64, false, Accumulator::kF16, false}},
           {"precision: INT8 overrides { pattern: 'head' policy { precision: FP32 } } accumulation { accumulator: F16 "
            "}",
            {0, false, Accumulator::kF16, false}}}) {
    const auto policy = Parse(c.text);
    ASSERT_TRUE(policy.ok()) << c.text << ": " << policy.status();
    EXPECT_EQ(policy->accumulation, c.want) << c.text;
    const auto back = PolicyFromProto(PolicyToProto(*policy));
    ASSERT_TRUE(back.ok()) << c.text << ": " << back.status();
    EXPECT_EQ(*back, *policy) << c.text;
  }
}

TEST(PrecisionPolicyTest, OverridesNarrowAndWidenTheSumsOfSingleLayers) {
  const auto policy = Parse(
      "precision: FP16 accumulation { accumulator: F16 } overrides { pattern: 'head' policy { accumulation { mode: "
      "FULL } } "
      "} overrides { pattern: 'stem' policy { precision: INT8 accumulation { accumulator: S16 } } }");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(quant::PolicyOfLayer(*policy, "head").accumulation, quant::AccumulationPolicy());
  EXPECT_EQ(quant::PolicyOfLayer(*policy, "stem").accumulation.emulated, ir::Accumulator::kS16);
  EXPECT_EQ(quant::PolicyOfLayer(*policy, "body").accumulation.emulated, ir::Accumulator::kF16);
  const auto back = PolicyFromProto(PolicyToProto(*policy));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, *policy);
}

struct BadPolicy {
  std::string text;
  std::string field;
};

TEST(PrecisionPolicyTest, NamesTheFieldThatIsNotImplemented) {
  const BadPolicy policies[] = {
      {"precision: INT8 weights { symmetric: false }", "weights.symmetric"},
      {"precision: INT8 activations { ranges: DYNAMIC }", "activations.ranges"},
      {"precision: INT8 overrides { pattern: '*' policy { weights { symmetric: false } } }", "weights.symmetric"},
      {"precision: FP32 sparsity { unstructured_ratio: 0.5 }", "sparsity.unstructured_ratio"},
  };
  for (const BadPolicy& bad : policies) {
    const auto policy = Parse(bad.text);
    EXPECT_TRUE(absl::IsUnimplemented(policy.status())) << bad.text << ": " << policy.status();
    EXPECT_THAT(std::string(policy.status().message()), HasSubstr(bad.field));
  }
}

TEST(PrecisionPolicyTest, RefusesContradictionsAndBadValues) {
  const BadPolicy policies[] = {
      {"", "precision"},
      {"precision: INT8 weights { bits: 9 }", "weights.bits"},
      {"precision: INT8 weights { bits: 1 }", "weights.bits"},
      {"precision: INT8 weights { bits: -1 }", "weights.bits"},
      {"precision: INT8 weights { scheme: LOG2 bits: 5 }", "weights.bits"},
      {"precision: INT8 weights { scheme: LOG2 bits: 99 }", "weights.bits"},
      {"precision: INT8 weights { scheme: CODEBOOK bits: 1 }", "weights.bits"},
      {"precision: INT8 weights { scheme: CODEBOOK bits: 9 }", "weights.bits"},
      {"precision: INT8 weights { scheme: TERNARY bits: 1 }", "weights.bits"},
      {"precision: INT8 weights { scheme: BINARY bits: 2 }", "weights.bits"},
      {R"({"precision": "INT8", "weights": {"scheme": 9}})", "weights.scheme"},
      {"precision: INT8 weights { scheme: TERNARY symmetric: false }", "weights.symmetric"},
      {"precision: INT8 execution: SIMULATED weights { scheme: CODEBOOK symmetric: false }", "weights.symmetric"},
      {"precision: INT8 overrides { pattern: '*' policy { weights { scheme: BINARY bits: 8 } } }",
       "overrides[0].policy"},
      {"precision: INT8 weights { group_size: 32 }", "weights.group_size"},
      {"precision: INT8 activations { bits: 1 }", "activations.bits"},
      {"precision: INT8 calibration { percentile: 99 }", "calibration.percentile"},
      {"precision: INT8 calibration { method: PERCENTILE percentile: 10 }", "calibration.percentile"},
      {"precision: INT8 calibration { sample_limit: -1 }", "calibration.sample_limit"},
      {"precision: BF16 calibration { method: MSE }", "calibration"},
      {"precision: FP32 weights { bits: 8 }", "weights"},
      {"precision: FP16 execution: INTEGER_ONLY", "execution"},
      {"precision: INT8 mixed { min_sqnr_db: 20 }", "mixed"},
      {"precision: INT8 accumulation { chunk_size: 64 }", "accumulation.chunk_size"},
      {"precision: INT8 accumulation { mode: CHUNKED }", "accumulation.chunk_size"},
      {"precision: INT8 weights { granularity: PER_GROUP }", "weights.group_size"},
      {"precision: INT8 weights { granularity: PER_GROUP group_size: 64 } accumulation { mode: CHUNKED chunk_size: 32 "
       "}",
       "weights.group_size"},
      {"precision: INT8 accumulation { mode: CHUNKED chunk_size: 32 } overrides { pattern: '*' policy { weights { "
       "granularity: PER_GROUP group_size: 64 } } }",
       "weights.group_size"},
      {"precision: FP32 sparsity { structured_ratio: 1.5 }", "sparsity.structured_ratio"},
      {"precision: INT8 overrides { policy { precision: FP32 } }", "overrides[0].pattern"},
      {"precision: INT8 overrides { pattern: '*' }", "overrides[0].policy"},
      {"precision: INT8 overrides { pattern: '*' policy { weights { bits: 9 } } }", "overrides[0].policy"},
      {"precision: INT8 overrides { pattern: '*' policy { accumulation { mode: CHUNKED } } }", "overrides[0].policy"},
      {"precision: INT8 overrides { pattern: '*' policy { precision: BF16 weights { bits: 8 } } }",
       "overrides[0].policy.weights"},
      {"precision: FP32 overrides { pattern: '*' policy { accumulation { accumulator: S16 } } }",
       "overrides[0].policy: policy field accumulation.accumulator"},
      {"precision: MIXED overrides { pattern: '*' policy { precision: FP32 accumulation { accumulator: F16 } } }",
       "overrides[0].policy: policy field accumulation.accumulator"},
      {"precision: INT8 accumulation { mode: CHUNKED chunk_size: 64 accumulator: FP16_169 }",
       "accumulation.accumulator: FP16_169 contradicts precision INT8"},
      {"precision: FP16 accumulation { mode: CHUNKED chunk_size: 64 accumulator: S16 }",
       "accumulation.accumulator: S16 contradicts precision FP16"},
      {"precision: BF16 accumulation { mode: CHUNKED chunk_size: 64 accumulator: S32 }",
       "accumulation.accumulator: S32 contradicts precision BF16"},
      {"precision: INT8 execution: SIMULATED accumulation { accumulator: S16 }",
       "accumulation.accumulator: S16 contradicts execution SIMULATED"},
      {"precision: MIXED accumulation { mode: CHUNKED chunk_size: 64 accumulator: S16 }",
       "accumulation.accumulator: S16 contradicts precision MIXED"},
      {"precision: INT8 accumulation { mode: CHUNKED chunk_size: 64 outer: OUTER_SAME }", "accumulation.outer"},
      {"precision: INT8 accumulation { mode: CHUNKED chunk_size: 64 accumulator: S16 outer: OUTER_SAME "
       "per_chunk_scales: true }",
       "accumulation.outer"},
      {"precision: INT8 weights { granularity: PER_GROUP group_size: 64 } accumulation { mode: CHUNKED chunk_size: 64 "
       "accumulator: S16 outer: OUTER_SAME }",
       "accumulation.outer"},
      {"precision: FP16 accumulation { mode: CHUNKED chunk_size: 64 per_chunk_scales: true }",
       "accumulation.per_chunk_scales"},
      {"precision: FP16 accumulation { accumulator: F16 outer: OUTER_SAME }", "accumulation.outer"},
      {"precision: FP16 accumulation { mode: CHUNKED accumulator: F16 }", "accumulation.chunk_size"},
      {"precision: INT8 overrides { pattern: 'a' policy { precision: FP32 } } overrides { pattern: 'b' policy { "
       "precision: MIXED } }",
       "overrides[1].policy.precision"},
      {"precision: INT8 overrides { pattern: '*' policy { calibration { method: MSE } } }",
       "overrides[0].policy.calibration"},
      {"precision: FP32 calibration { method: MSE } overrides { pattern: '*' policy { precision: BF16 } }",
       "calibration"},
      {"precision: MIXED mixed { candidates: [INT8, MIXED] }", "mixed.candidates[1]"},
      {"precision: MIXED mixed { candidates: [INT8, INT8] }", "mixed.candidates[1]"},
      {"precision: MIXED mixed { candidates: [INT8] }", "mixed.candidates"},
      {"precision: MIXED mixed { min_sqnr_db: nan }", "mixed.min_sqnr_db"},
      {"precision: MIXED mixed { max_top1_disagreement: 2 }", "mixed.max_top1_disagreement"},
      {"precision: INT3", "INT3"},
      {"colour: RED", "colour"},
      {R"({"precision": 12})", "precision"},
      {R"({"precision")", "policy"},
  };
  for (const BadPolicy& bad : policies) {
    const auto policy = Parse(bad.text);
    EXPECT_TRUE(absl::IsInvalidArgument(policy.status())) << bad.text << ": " << policy.status();
    EXPECT_THAT(std::string(policy.status().message()), HasSubstr(bad.field));
  }
}

TEST(PrecisionPolicyTest, KnowsBuiltInAndNamedVariants) {
  v1::ModelPrecision file;
  auto& named = *file.add_policies();
  named.set_name("careful");
  named.mutable_policy()->set_precision(v1::PrecisionPolicy::INT8);
  named.mutable_policy()->mutable_calibration()->set_method(v1::CalibrationPolicy::MSE);
  EXPECT_EQ(PolicyOfVariant("bf16", file)->precision, quant::Precision::kBF16);
  EXPECT_EQ(PolicyOfVariant("careful", file)->calibration.method, quant::CalibrationMethod::kMse);
  EXPECT_TRUE(absl::IsNotFound(PolicyOfVariant("int7", file).status()));
  EXPECT_THAT(std::string(PolicyOfVariant("int7", file).status().message()), HasSubstr("careful"));
  EXPECT_EQ(PolicyOfVariant("mixed", file)->precision, quant::Precision::kMixed);
}

}  // namespace
}  // namespace precis::server
