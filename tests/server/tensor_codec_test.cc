#include "server/rpc/tensor_codec.h"

#include <cstring>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/server/signatures.h"

namespace precis::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

inference::ModelInferRequest Request(const std::string& text) {
  inference::ModelInferRequest request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
  return request;
}

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// A correct raw request for TwoInputs, its inputs in the other order.
inference::ModelInferRequest RawRequest() {
  auto request = Request(R"(inputs { name: "ids" datatype: "INT64" shape: [2] }
                            inputs { name: "x" datatype: "FP32" shape: [2, 3] })");
  request.add_raw_input_contents(Bytes<int64_t>({7, 8}));
  request.add_raw_input_contents(Bytes<float>({0, 1, 2, 3, 4, 5}));
  return request;
}

TEST(TensorCodecTest, UsesRawBytesInPlaceInTheModelsOrder) {
  const auto request = RawRequest();
  const auto decoded = DecodeInputs(request, TwoInputs());
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_EQ(decoded->views.size(), 2U);
  EXPECT_EQ(decoded->views[0].data, request.raw_input_contents(1).data());
  EXPECT_THAT(decoded->views[0].shape, ElementsAre(2, 3));
  EXPECT_THAT(decoded->views[1].As<int64_t>(), ElementsAre(7, 8));
}

TEST(TensorCodecTest, UsesTypedContentsOfTheElementsSizeInPlace) {
  const auto request = Request(R"(
      inputs { name: "x" datatype: "FP32" shape: [1, 3] contents { fp32_contents: [1, nan, inf] } }
      inputs { name: "ids" datatype: "INT64" shape: [2] contents { int64_contents: [-1, 9] } })");
  const auto decoded = DecodeInputs(request, TwoInputs());
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->views[0].data, request.inputs(0).contents().fp32_contents().data());
  EXPECT_THAT(decoded->views[1].As<int64_t>(), ElementsAre(-1, 9));
  EXPECT_TRUE(decoded->narrowed.empty());
}

TEST(TensorCodecTest, NarrowsSmallIntegers) {
  const auto decoded = DecodeInputs(
      Request(R"(inputs { name: "x" datatype: "INT8" shape: [3] contents { int_contents: [-128, 0, 127] } })"),
      OneInput(DataType::kS8));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_THAT(decoded->views[0].As<int8_t>(), ElementsAre(-128, 0, 127));
  const auto wide =
      DecodeInputs(Request(R"(inputs { name: "x" datatype: "UINT16" shape: [1] contents { uint_contents: [65535] } })"),
                   OneInput(DataType::kU16));
  ASSERT_TRUE(wide.ok()) << wide.status();
  EXPECT_THAT(wide->views[0].As<uint16_t>(), ElementsAre(65535));
}

TEST(TensorCodecTest, TakesSixteenBitFloatsRawOnly) {
  for (auto [dtype, name] : {std::pair{DataType::kF16, "FP16"}, std::pair{DataType::kBF16, "BF16"}}) {
    auto request = Request(std::string("inputs { name: 'x' shape: [2] datatype: '") + name + "' }");
    EXPECT_TRUE(absl::IsInvalidArgument(DecodeInputs(request, OneInput(dtype)).status()));
    request.add_raw_input_contents("abcd");
    EXPECT_TRUE(DecodeInputs(request, OneInput(dtype)).ok());
  }
}

TEST(TensorCodecTest, TakesEmptyTensors) {
  auto request = Request(R"(inputs { name: "x" datatype: "FP32" shape: [0] })");
  EXPECT_TRUE(DecodeInputs(request, OneInput(DataType::kF32)).ok());
  request.add_raw_input_contents("");
  EXPECT_TRUE(DecodeInputs(request, OneInput(DataType::kF32)).ok());
}

TEST(TensorCodecTest, ChecksBatchesAgainstTheLimit) {
  Signature signature = TwoInputs();
  signature.inputs.pop_back();
  signature.max_batch_size = 4;
  const auto status_of = [&](int batch) {
    inference::ModelInferRequest request = Request(R"(inputs { name: "x" datatype: "FP32" })");
    request.mutable_inputs(0)->add_shape(batch);
    request.mutable_inputs(0)->add_shape(3);
    request.add_raw_input_contents(std::string(static_cast<size_t>(batch) * 12, '\0'));
    return DecodeInputs(request, signature);
  };
  EXPECT_EQ(status_of(4)->batch_size, 4);
  EXPECT_TRUE(absl::IsInvalidArgument(status_of(5).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(status_of(0).status()));
}

TEST(TensorCodecTest, ReshapesAsTheConfigurationSays) {
  Signature signature;
  signature.inputs = {{"x", DataType::kU8, {-1, 4}, {-1, 1, 2, 2}}};
  auto request = Request(R"(inputs { name: "x" datatype: "UINT8" shape: [2, 4] })");
  request.add_raw_input_contents("12345678");
  const auto decoded = DecodeInputs(request, signature);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_THAT(decoded->views[0].shape, ElementsAre(2, 1, 2, 2));
}

struct BadRequest {
  std::string what;  // part of the message
  std::function<void(inference::ModelInferRequest&)> change;
};

TEST(TensorCodecTest, SaysWhatIsWrongWithARequest) {
  const BadRequest bad_requests[] = {
      {"missing", [](auto& r) { r.mutable_inputs()->RemoveLast(), r.mutable_raw_input_contents()->RemoveLast(); }},
      {"no such input", [](auto& r) { r.mutable_inputs(0)->set_name("y"); }},
      {"given twice", [](auto& r) { r.mutable_inputs(0)->set_name("x"); }},
      {"want FP32", [](auto& r) { r.mutable_inputs(1)->set_datatype("FP64"); }},
      {"want FP32", [](auto& r) { r.mutable_inputs(1)->set_datatype("BYTES"); }},
      {"want [?,3]", [](auto& r) { r.mutable_inputs(1)->set_shape(1, 4); }},
      {"want [?,3]", [](auto& r) { r.mutable_inputs(1)->set_shape(0, -1); }},
      {"want [?,3]", [](auto& r) { r.mutable_inputs(1)->add_shape(1); }},
      {"too many", [](auto& r) { r.mutable_inputs(1)->set_shape(0, INT64_MAX); }},
      {"want 12", [](auto& r) { r.mutable_inputs(1)->set_shape(0, 1); }},
      {"want 24", [](auto& r) { r.mutable_raw_input_contents(1)->pop_back(); }},
      {"one for each", [](auto& r) { r.add_raw_input_contents("x"); }},
      {"beside", [](auto& r) { r.mutable_inputs(1)->mutable_contents()->add_fp32_contents(1); }},
      {"2 elements, want 6",
       [](auto& r) {
         r.clear_raw_input_contents();
         r.mutable_inputs(1)->mutable_contents()->mutable_fp32_contents()->Resize(2, 0);
       }},
      {"does not belong",
       [](auto& r) {
         r.clear_raw_input_contents();
         r.mutable_inputs(1)->mutable_contents()->mutable_fp64_contents()->Resize(6, 0);
       }},
  };
  for (const BadRequest& bad : bad_requests) {
    auto request = RawRequest();
    bad.change(request);
    const absl::Status status = DecodeInputs(request, TwoInputs()).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << bad.what << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad.what));
  }
}

TEST(TensorCodecTest, RefusesBoolsThatAreNeitherTrueNorFalse) {
  auto request = Request(R"(inputs { name: "x" datatype: "BOOL" shape: [2] })");
  request.add_raw_input_contents(std::string("\0\2", 2));
  EXPECT_TRUE(absl::IsInvalidArgument(DecodeInputs(request, OneInput(DataType::kBool)).status()));
  request.set_raw_input_contents(0, std::string("\0\1", 2));
  EXPECT_TRUE(DecodeInputs(request, OneInput(DataType::kBool)).ok());
}

TEST(TensorCodecTest, RefusesIntegersThatDoNotFit) {
  const auto status =
      DecodeInputs(Request(R"(inputs { name: "x" datatype: "UINT8" shape: [1] contents { uint_contents: [256] } })"),
                   OneInput(DataType::kU8))
          .status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
}

TEST(TensorCodecTest, DoesNotImplementClassification) {
  const auto output = Request("outputs { name: 'out' parameters { key: 'classification' value {} } }");
  EXPECT_TRUE(absl::IsUnimplemented(RequestedOutputs(output, TwoInputs()).status()));
}

TEST(TensorCodecTest, GivesTheOutputsThatAreAskedForInThatOrder) {
  EXPECT_THAT(*RequestedOutputs(Request(""), TwoInputs()), ElementsAre(0, 1));
  EXPECT_THAT(*RequestedOutputs(Request("outputs { name: 'label' }"), TwoInputs()), ElementsAre(1));
  EXPECT_THAT(*RequestedOutputs(Request("outputs { name: 'label' } outputs { name: 'out' }"), TwoInputs()),
              ElementsAre(1, 0));
  for (const char* bad : {"outputs { name: 'x' }", "outputs { name: 'out' } outputs { name: 'out' }"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(RequestedOutputs(Request(bad), TwoInputs()).status())) << bad;
  }
}

TEST(TensorCodecTest, DescribesOutputsByTheirActualShapes) {
  std::vector<Tensor> outputs;
  outputs.emplace_back(DataType::kF32, Shape{2, 3});
  outputs.emplace_back(DataType::kS64, Shape{2});
  inference::ModelInferResponse response;
  DescribeOutputs(outputs, {1, 0}, TwoInputs(), &response);
  ASSERT_EQ(response.outputs_size(), 2);
  EXPECT_EQ(response.outputs(0).name(), "label");
  EXPECT_EQ(response.outputs(0).datatype(), "INT64");
  EXPECT_THAT(response.outputs(1).shape(), ElementsAre(2, 3));
  EXPECT_EQ(response.raw_output_contents_size(), 0);
}

}  // namespace
}  // namespace precis::server
