#include "engine/quant/policy.h"

#include "gtest/gtest.h"

namespace precis::quant {
namespace {

TEST(BuiltInPolicyTest, NamesStandForPrecisions) {
  EXPECT_EQ(BuiltInPolicy("fp32")->precision, Precision::kF32);
  EXPECT_EQ(BuiltInPolicy("bf16")->precision, Precision::kBF16);
  EXPECT_EQ(BuiltInPolicy("fp16")->precision, Precision::kF16);
  EXPECT_EQ(BuiltInPolicy("int8")->precision, Precision::kInt8);
  EXPECT_EQ(BuiltInPolicy("mixed")->precision, Precision::kMixed);
}

TEST(BuiltInPolicyTest, AnyOtherNameIsNotFound) {
  EXPECT_EQ(BuiltInPolicy("int4").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(BuiltInPolicy("").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace precis::quant
