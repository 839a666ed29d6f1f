#include "server/rpc/load_parameters.h"

#include <string>

#include "gtest/gtest.h"

namespace precis::server {
namespace {

inference::RepositoryModelLoadRequest Request(const std::string& model, const std::string& key = "",
                                              const std::string& value = "") {
  inference::RepositoryModelLoadRequest request;
  request.set_model_name(model);
  if (!key.empty()) (*request.mutable_parameters())[key].set_string_param(value);
  return request;
}

TEST(LoadParametersTest, TakesTheVariantFromTheName) {
  EXPECT_EQ(MakeLoadRequest(Request("net"))->name.variant, "");
  EXPECT_EQ(MakeLoadRequest(Request("net@int8"))->name.variant, "int8");
}

TEST(LoadParametersTest, TakesAPolicyByNameOrAsText) {
  const auto by_name = MakeLoadRequest(Request("net", "precis_policy", "careful"));
  EXPECT_EQ(by_name->policy_name, "careful");
  EXPECT_EQ(by_name->name.variant, "careful");
  EXPECT_EQ(MakeLoadRequest(Request("net@mine", "precis_policy", "int8"))->name.variant, "mine");
  const auto as_json = MakeLoadRequest(Request("net", "precis_policy", R"({"precision": "BF16"})"));
  ASSERT_TRUE(as_json.ok()) << as_json.status();
  EXPECT_EQ(as_json->policy->precision, quant::Precision::kBF16);
  EXPECT_EQ(as_json->name.variant, "bf16");
  EXPECT_EQ(MakeLoadRequest(Request("net@x", "precis_policy", "precision: FP16"))->name.variant, "x");
}

TEST(LoadParametersTest, TakesAConfigurationAsJson) {
  const auto load = MakeLoadRequest(Request("net", "config", R"({"max_batch_size": 8, "backend": "onnxruntime"})"));
  ASSERT_TRUE(load.ok()) << load.status();
  EXPECT_EQ(load->config->max_batch_size(), 8);
}

TEST(LoadParametersTest, RefusesWhatItDoesNotKnow) {
  EXPECT_TRUE(absl::IsInvalidArgument(MakeLoadRequest(Request("../net")).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(MakeLoadRequest(Request("net", "speed", "high")).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(MakeLoadRequest(Request("net", "config", "{")).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(MakeLoadRequest(Request("net", "precis_policy", "{")).status()));
  EXPECT_TRUE(absl::IsUnimplemented(MakeLoadRequest(Request("net", "file:1/model.onnx", "")).status()));
  EXPECT_TRUE(absl::IsUnimplemented(
      MakeLoadRequest(Request("net", "precis_policy", "precision: INT8 sparsity { unstructured_ratio: 0.5 }"))
          .status()));
}

TEST(LoadParametersTest, ReadsLoadVariant) {
  v1::LoadVariantRequest request;
  request.set_model("net");
  request.set_variant("int8");
  request.set_version("2");
  auto& shape = *request.add_warm_shapes();
  shape.set_input("x");
  shape.add_shape(4);
  const auto load = MakeLoadRequest(request);
  ASSERT_TRUE(load.ok()) << load.status();
  EXPECT_EQ(load->version, 2);
  EXPECT_FALSE(load->recalibrate);
  EXPECT_EQ(load->warm_shapes.at(0).second, (Shape{4}));
  request.set_recalibrate(true);
  EXPECT_TRUE(MakeLoadRequest(request)->recalibrate);
  request.set_model("net@fp32");
  EXPECT_TRUE(absl::IsInvalidArgument(MakeLoadRequest(request).status()));
}

}  // namespace
}  // namespace precis::server
