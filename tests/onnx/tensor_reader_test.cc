#include "engine/onnx/tensor_reader.h"

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "engine/base/float16.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace precis::onnx_import {
namespace {

using onnx::TensorProto;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TensorProto Proto(int type, const std::vector<int64_t>& dims) {
  TensorProto proto;
  proto.set_data_type(type);
  for (int64_t d : dims) proto.add_dims(d);
  return proto;
}

absl::StatusOr<Tensor> Read(const TensorProto& proto, const ImportLimits& limits = {}) {
  return TensorReader("", limits).Read(proto);
}

void ExpectInvalid(const TensorProto& proto, const std::string& why, const ImportLimits& limits = {}) {
  const auto tensor = Read(proto, limits);
  EXPECT_EQ(tensor.status().code(), absl::StatusCode::kInvalidArgument) << tensor.status();
  EXPECT_THAT(std::string(tensor.status().message()), HasSubstr(why));
}

TEST(TensorReaderTest, ReadsTheTypedFieldOfEachType) {
  for (int type : {TensorProto::INT32, TensorProto::INT16, TensorProto::INT8}) {
    TensorProto proto = Proto(type, {2});
    proto.add_int32_data(-1);
    proto.add_int32_data(2);
    ASSERT_TRUE(Read(proto).ok());
    EXPECT_THAT(ToInt64(Read(proto)->view()), ElementsAre(-1, 2)) << type;
  }
  for (int type : {TensorProto::UINT8, TensorProto::UINT16}) {
    TensorProto proto = Proto(type, {1});
    proto.add_int32_data(200);
    EXPECT_THAT(ToInt64(Read(proto)->view()), ElementsAre(200)) << type;
  }
  for (int type : {TensorProto::UINT32, TensorProto::UINT64}) {
    TensorProto proto = Proto(type, {1});
    proto.add_uint64_data(4'000'000'000u);
    EXPECT_THAT(ToInt64(Read(proto)->view()), ElementsAre(4'000'000'000)) << type;
  }
  TensorProto longs = Proto(TensorProto::INT64, {1});
  longs.add_int64_data(std::numeric_limits<int64_t>::min());
  EXPECT_THAT(ToInt64(Read(longs)->view()), ElementsAre(std::numeric_limits<int64_t>::min()));
  TensorProto floats = Proto(TensorProto::FLOAT, {1});
  floats.add_float_data(1.5f);
  EXPECT_THAT(ToFloat(Read(floats)->view()), ElementsAre(1.5f));
  TensorProto doubles = Proto(TensorProto::DOUBLE, {1});
  doubles.add_double_data(-2.5);
  EXPECT_EQ(Read(doubles)->dtype(), DataType::kF64);
  EXPECT_THAT(ToFloat(Read(doubles)->view()), ElementsAre(-2.5f));
}

TEST(TensorReaderTest, ReadsSixteenBitFloatsAsPatterns) {
  TensorProto half = Proto(TensorProto::FLOAT16, {1});
  half.add_int32_data(F32ToF16(0.25f));
  EXPECT_EQ(Read(half)->dtype(), DataType::kF16);
  EXPECT_THAT(ToFloat(Read(half)->view()), ElementsAre(0.25f));
  TensorProto brain = Proto(TensorProto::BFLOAT16, {1});
  brain.add_int32_data(F32ToBF16(-3.0f));
  EXPECT_THAT(ToFloat(Read(brain)->view()), ElementsAre(-3.0f));
}

TEST(TensorReaderTest, ReadsRawBytes) {
  TensorProto proto = Proto(TensorProto::FLOAT, {2, 1});
  const float values[] = {1.0f, -2.0f};
  proto.set_raw_data(values, sizeof(values));
  const auto tensor = Read(proto);
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(tensor->shape(), (Shape{2, 1}));
  EXPECT_THAT(ToFloat(tensor->view()), ElementsAre(1.0f, -2.0f));
}

TEST(TensorReaderTest, MakesEveryBoolZeroOrOne) {
  TensorProto raw = Proto(TensorProto::BOOL, {3});
  raw.set_raw_data(std::string("\0\1\7", 3));
  const auto tensor = Read(raw);
  const auto* bytes = static_cast<const uint8_t*>(tensor->data());
  EXPECT_THAT(std::vector<int>(bytes, bytes + 3), ElementsAre(0, 1, 1));
  TensorProto typed = Proto(TensorProto::BOOL, {1});
  typed.add_int32_data(7);
  EXPECT_EQ(*static_cast<const uint8_t*>(Read(typed)->data()), 1);
}

TEST(TensorReaderTest, ReadsScalarsAndEmptyTensors) {
  TensorProto scalar = Proto(TensorProto::INT32, {});
  scalar.add_int32_data(5);
  EXPECT_EQ(Read(scalar)->shape(), Shape{});
  EXPECT_EQ(Read(Proto(TensorProto::FLOAT, {2, 0}))->num_elements(), 0);
  TensorProto raw = Proto(TensorProto::FLOAT, {0});
  raw.set_raw_data("");
  EXPECT_EQ(Read(raw)->num_elements(), 0);
}

TEST(TensorReaderTest, RefusesDataThatDoesNotFitTheDims) {
  TensorProto typed = Proto(TensorProto::FLOAT, {1000});
  typed.add_float_data(1.0f);
  ExpectInvalid(typed, "dims [1000] of f32 want 1000 elements, the file has 1");
  TensorProto raw = Proto(TensorProto::FLOAT, {1});
  raw.set_raw_data("abc");
  ExpectInvalid(raw, "want 4 bytes, the file has 3");
  TensorProto wrong_field = Proto(TensorProto::FLOAT, {1});
  wrong_field.add_int32_data(1);
  ExpectInvalid(wrong_field, "want 1 elements, the file has 0");
}

TEST(TensorReaderTest, RefusesDimsThatOverflowOrAreNegative) {
  ExpectInvalid(Proto(TensorProto::FLOAT, {1'000'000'000'000}), "over the limit");
  ExpectInvalid(Proto(TensorProto::INT8, {int64_t{1} << 32, int64_t{1} << 32}), "over the limit");
  ExpectInvalid(Proto(TensorProto::FLOAT, {-1}), "negative");
  ExpectInvalid(Proto(TensorProto::FLOAT, {0, -1}), "negative");
  ExpectInvalid(Proto(TensorProto::FLOAT, std::vector<int64_t>(65, 1)), "rank 65");
  ImportLimits limits;
  limits.max_tensor_bytes = 8;
  TensorProto three = Proto(TensorProto::FLOAT, {3});
  for (int i = 0; i < 3; ++i) three.add_float_data(0.0f);
  ExpectInvalid(three, "limit of 8 bytes", limits);
}

TEST(TensorReaderTest, TellsUnsupportedTypesFromNonsense) {
  EXPECT_EQ(Read(Proto(TensorProto::STRING, {})).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(Read(Proto(TensorProto::FLOAT8E4M3FN, {})).status().message()), HasSubstr("FLOAT8E4M3FN"));
  ExpectInvalid(Proto(TensorProto::UNDEFINED, {}), "UNDEFINED");
  ExpectInvalid(Proto(12345, {}), "12345");
}

TEST(TensorReaderTest, ReadsATensorFileAndNamesABadOne) {
  const auto path = std::filesystem::temp_directory_path() / "precis_tensor_file_test.pb";
  TensorProto proto = Proto(TensorProto::INT64, {1});
  proto.add_int64_data(9);
  std::ofstream(path, std::ios::binary) << proto.SerializeAsString();
  EXPECT_THAT(ToInt64(ReadTensorFile(path.string())->view()), ElementsAre(9));
  std::ofstream(path, std::ios::binary) << "\xff\xff\xff";
  EXPECT_EQ(ReadTensorFile(path.string()).status().code(), absl::StatusCode::kInvalidArgument);
  std::filesystem::remove(path);
  EXPECT_EQ(ReadTensorFile(path.string()).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace precis::onnx_import
