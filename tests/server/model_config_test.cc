#include "server/config/model_config.h"

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace precis::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

inference::ModelConfig Config(const std::string& text) {
  inference::ModelConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

const std::vector<TensorSpec> kInputs = {{"data", DataType::kF32, {-1, 3, 8, 8}, {"n", "", "", ""}}};
const std::vector<TensorSpec> kOutputs = {{"prob", DataType::kF32, {-1, 10}, {"n", ""}}};

TEST(ModelConfigTest, FollowsTheFileWithoutAConfiguration) {
  const auto signature = MakeSignature({}, kInputs, kOutputs);
  ASSERT_TRUE(signature.ok()) << signature.status();
  EXPECT_EQ(signature->max_batch_size, 0);
  EXPECT_THAT(signature->inputs[0].shape, ElementsAre(-1, 3, 8, 8));
  EXPECT_THAT(WarmShapes(*signature, kInputs), IsEmpty());
  const auto config = CompleteModelConfig({}, "net", *signature);
  EXPECT_EQ(config.name(), "net");
  EXPECT_EQ(config.input(0).data_type(), inference::TYPE_FP32);
  EXPECT_THAT(config.input(0).dims(), ElementsAre(-1, 3, 8, 8));
}

TEST(ModelConfigTest, CountsTheBatchDimensionInSignaturesOnly) {
  const auto config = Config(R"(max_batch_size: 4
      input { name: "data" data_type: TYPE_FP32 dims: [3, 8, 8] }
      output { name: "prob" data_type: TYPE_FP32 dims: [10] label_filename: "labels.txt" })");
  const auto signature = MakeSignature(config, kInputs, kOutputs);
  ASSERT_TRUE(signature.ok()) << signature.status();
  EXPECT_EQ(signature->max_batch_size, 4);
  EXPECT_THAT(signature->inputs[0].shape, ElementsAre(-1, 3, 8, 8));
  const auto complete = CompleteModelConfig(config, "net", *signature);
  EXPECT_THAT(complete.input(0).dims(), ElementsAre(3, 8, 8));
  EXPECT_EQ(complete.output(0).label_filename(), "labels.txt");
}

TEST(ModelConfigTest, FixesDimensionsThatTheFileLeavesFree) {
  const auto config = Config(R"(input { name: "data" data_type: TYPE_FP32 dims: [2, 3, 8, 8] })");
  const auto signature = MakeSignature(config, kInputs, kOutputs);
  ASSERT_TRUE(signature.ok()) << signature.status();
  EXPECT_THAT(signature->inputs[0].shape, ElementsAre(2, 3, 8, 8));
  EXPECT_THAT(WarmShapes(*signature, kInputs), ElementsAre(ElementsAre(2, 3, 8, 8)));
}

// As in Triton's densenet example: a file without a batch dimension in its shapes' clients.
TEST(ModelConfigTest, Reshapes) {
  const auto config = Config(R"(
      input { name: "data" data_type: TYPE_FP32 dims: [3, 8, 8] reshape { shape: [1, 3, 8, 8] } })");
  const auto signature = MakeSignature(config, kInputs, kOutputs);
  ASSERT_TRUE(signature.ok()) << signature.status();
  EXPECT_THAT(signature->inputs[0].shape, ElementsAre(3, 8, 8));
  EXPECT_THAT(signature->inputs[0].engine_shape, ElementsAre(1, 3, 8, 8));
}

TEST(ModelConfigTest, RefusesWhatContradictsTheFile) {
  for (const char* text : {
           R"(input { name: "image" data_type: TYPE_FP32 dims: [-1, 3, 8, 8] })",
           R"(input { name: "data" data_type: TYPE_INT8 dims: [-1, 3, 8, 8] })",
           R"(input { name: "data" data_type: TYPE_FP32 dims: [-1, 3, 9, 8] })",
           R"(input { name: "data" data_type: TYPE_FP32 dims: [3, 8, 8] })",
           R"(input { name: "data" data_type: TYPE_FP32 dims: [3, 8, 9] reshape { shape: [1, 3, 8, 8] } })",
           R"(input { name: "data" data_type: TYPE_FP32 dims: [-1, 8, 8] reshape { shape: [1, 3, 8, 8] } })",
           R"(input { name: "data" data_type: TYPE_FP32 dims: [-2, 3, 8, 8] })",
           R"(max_batch_size: 4 input { name: "data" data_type: TYPE_FP32 dims: [1, 3, 8, 8] })",
           R"(output { name: "prob" data_type: TYPE_FP32 dims: [-1, 11] })",
       }) {
    EXPECT_TRUE(absl::IsInvalidArgument(MakeSignature(Config(text), kInputs, kOutputs).status())) << text;
  }
}

TEST(ModelConfigTest, RefusesBatchesOfAFileWithoutABatchDimension) {
  const std::vector<TensorSpec> fixed = {{"data", DataType::kF32, {3, 8}, {"", ""}}};
  EXPECT_TRUE(absl::IsInvalidArgument(MakeSignature(Config("max_batch_size: 2"), fixed, kOutputs).status()));
}

TEST(ModelConfigTest, WarnsOfWhatMeansNothingHere) {
  const auto warnings = CheckModelConfig(Config(R"(
      name: "net" backend: "tensorrt" platform: "onnxruntime_onnx" instance_group { kind: KIND_GPU }
      optimization { cuda { graphs: true } } model_warmup {})"),
                                         "net");
  ASSERT_TRUE(warnings.ok()) << warnings.status();
  EXPECT_THAT(*warnings, ElementsAre(HasSubstr("tensorrt"), HasSubstr("KIND_GPU"), HasSubstr("optimization"),
                                     HasSubstr("model_warmup")));
}

TEST(ModelConfigTest, RefusesWhatWouldChangeAnswers) {
  EXPECT_TRUE(absl::IsInvalidArgument(CheckModelConfig(Config("name: 'other'"), "net").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(CheckModelConfig(Config("max_batch_size: -1"), "net").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      CheckModelConfig(Config("max_batch_size: 2 dynamic_batching { preferred_batch_size: 3 }"), "net").status()));
  for (const char* text :
       {"ensemble_scheduling {}", "sequence_batching {}", "model_transaction_policy { decoupled: true }"}) {
    EXPECT_TRUE(absl::IsUnimplemented(CheckModelConfig(Config(text), "net").status())) << text;
  }
}

}  // namespace
}  // namespace precis::server
