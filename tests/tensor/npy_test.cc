#include "engine/tensor/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "absl/strings/escaping.h"
#include "engine/base/float16.h"

namespace precis {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A version 1 file with the given header text and elements.
std::string Npy(const std::string& header, const std::string& elements) {
  std::string bytes = "\x93NUMPY";
  bytes += {'\1', '\0', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  return bytes + header + elements;
}

// numpy.savez_compressed(file, x=numpy.zeros((2, 3), "u1"), y=numpy.array(7, "i8"))
const char kNumpyArchive[] =
    "504b03042d00000008000000210097f0fe4effffffffffffffff05001400782e6e7079010010008600000000000000490000000000"
    "00009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a05e536aa8aea3a09e965f54529498179f5f94920a12774bcc294e058a1767"
    "2416a402f91a463a0ac69a3a0ab50a64032e06300000504b03042d00000008000000210023b8f06cffffffffffffffff05001400"
    "792e6e707901001000880000000000000046000000000000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e9369a1aea3a0"
    "9e965f54529498179f5f94920a12774bcc294e058a17672416a402f91a9a3a0ab50a14012e7606080000504b01022d032d0000000800"
    "0000210097f0fe4e4900000086000000050000000000000000000000800100000000782e6e7079504b01022d032d0000000800000021"
    "0023b8f06c4600000088000000050000000000000000000000800180000000792e6e7079504b050600000000020002006600"
    "0000fd0000000000";

std::string NumpyArchive() {
  std::string bytes;
  EXPECT_TRUE(absl::HexStringToBytes(kNumpyArchive, &bytes));
  return bytes;
}

TEST(NpyTest, WrittenFilesReadBackEqual) {
  for (const Shape& shape : {Shape{}, Shape{0}, Shape{3}, Shape{2, 3}, Shape{1, 2, 1, 3}}) {
    for (const DataType type :
         {DataType::kF32, DataType::kF64, DataType::kF16, DataType::kS8, DataType::kU8, DataType::kS16, DataType::kU16,
          DataType::kS32, DataType::kU32, DataType::kS64, DataType::kU64, DataType::kBool}) {
      Tensor tensor(type, shape);
      for (size_t i = 0; i < tensor.size_bytes(); ++i) static_cast<uint8_t*>(tensor.data())[i] = i % 2;
      const std::string content = FormatNpy(tensor.view());
      const absl::StatusOr<Tensor> read = ParseNpy(content);
      ASSERT_TRUE(read.ok()) << read.status() << " " << Name(type) << ShapeToString(shape);
      EXPECT_EQ(read->dtype(), type);
      EXPECT_EQ(read->shape(), shape);
      EXPECT_EQ(FormatNpy(read->view()), content);
    }
  }
}

TEST(NpyTest, HeaderIsPaddedAsNumpyPadsIt) {
  const Tensor tensor = Tensor::From<float>({2, 2}, {1.5f, -2, 3, 4});
  const std::string content = FormatNpy(tensor.view());
  EXPECT_EQ(content.size(), 144u);
  EXPECT_THAT(content, HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }"));
}

TEST(NpyTest, BFloat16IsWrittenAsFloat) {
  Tensor tensor(DataType::kBF16, {2});
  static_cast<uint16_t*>(tensor.data())[0] = F32ToBF16(1.5f);
  static_cast<uint16_t*>(tensor.data())[1] = F32ToBF16(-2.0f);
  const absl::StatusOr<Tensor> read = ParseNpy(FormatNpy(tensor.view()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->dtype(), DataType::kF32);
  EXPECT_THAT(read->As<float>(), ElementsAre(1.5f, -2.0f));
}

TEST(NpyTest, RefusesWhatItCannotRead) {
  struct Case {
    std::string bytes;
    absl::StatusCode code;
  };
  const std::string good = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }\n";
  ASSERT_TRUE(ParseNpy(Npy(good, "ab")).ok());
  const Case cases[] = {
      {"", absl::StatusCode::kInvalidArgument},
      {"PK\3\4 and so on, long enough", absl::StatusCode::kInvalidArgument},
      {Npy(good, "ab").substr(0, 30), absl::StatusCode::kInvalidArgument},
      {Npy(good, "a"), absl::StatusCode::kInvalidArgument},
      {Npy(good, "abc"), absl::StatusCode::kInvalidArgument},
      {Npy("{'descr': '|u1', 'shape': (2,), }", "ab"), absl::StatusCode::kInvalidArgument},
      {Npy("{'descr': '|u1', 'fortran_order': False, }", "ab"), absl::StatusCode::kInvalidArgument},
      {Npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2", "ab"), absl::StatusCode::kInvalidArgument},
      {Npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-2,)}", "ab"), absl::StatusCode::kInvalidArgument},
      {Npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2 1)}", "ab"), absl::StatusCode::kInvalidArgument},
      {Npy("{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967297)}", "ab"),
       absl::StatusCode::kInvalidArgument},
      {Npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2,), }", "ab"), absl::StatusCode::kUnimplemented},
      {Npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "abcd"), absl::StatusCode::kUnimplemented},
      {Npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "abcd"), absl::StatusCode::kUnimplemented},
      {Npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "abcd"),
       absl::StatusCode::kUnimplemented},
  };
  for (const Case& c : cases) EXPECT_EQ(ParseNpy(c.bytes).status().code(), c.code) << c.bytes;
}

TEST(NpyTest, MissingFileIsNotFoundAndNamed) {
  const absl::Status status = ReadNpy("/nowhere/x.npy").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/x.npy"));
}

TEST(NpyTest, FilesAppearWholeAndLeaveNoDrafts) {
  const std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) / "precis_npy_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::filesystem::path path = folder / "x.npy";
  const Tensor tensor = Tensor::From<int64_t>({2}, {7, -7});
  ASSERT_TRUE(WriteFileAtomically(path, "what stood there before").ok());
  ASSERT_TRUE(WriteFileAtomically(path, FormatNpy(tensor.view())).ok());
  const absl::StatusOr<Tensor> read = ReadNpy(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->As<int64_t>(), ElementsAre(7, -7));
  std::filesystem::create_directories(folder / "taken");
  EXPECT_FALSE(WriteFileAtomically(folder / "taken", "x").ok());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 2);
  std::filesystem::remove_all(folder);
  EXPECT_FALSE(WriteFileAtomically("/nowhere/x.npy", "x").ok());
}

TEST(NpzTest, ReadsWhatNumpyCompressed) {
  const std::string archive = NumpyArchive();
  const auto tensors = ParseNpz(archive);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  ASSERT_EQ(tensors->size(), 2u);
  EXPECT_EQ(tensors->at("x").shape(), (Shape{2, 3}));
  EXPECT_THAT(tensors->at("x").As<uint8_t>(), ::testing::Each(0));
  EXPECT_EQ(tensors->at("y").shape(), Shape{});
  EXPECT_EQ(tensors->at("y").As<int64_t>()[0], 7);
}

TEST(NpzTest, WrittenArchivesReadBack) {
  const Tensor x = Tensor::From<float>({2}, {1, 2}), y = Tensor::From<uint8_t>({1, 1}, {9});
  const auto read = ParseNpz(FormatNpz({{"x", x.view()}, {"y", y.view()}}));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->at("x").As<float>(), ElementsAre(1, 2));
  EXPECT_THAT(read->at("y").As<uint8_t>(), ElementsAre(9));
}

TEST(NpzTest, EveryCutAndEveryChangedByteIsSafe) {
  const std::string archive = NumpyArchive();
  for (size_t size = 0; size < archive.size(); ++size) {
    EXPECT_FALSE(ParseNpz(archive.substr(0, size)).ok()) << size;
  }
  for (size_t at = 0; at < archive.size(); ++at) {
    std::string changed = archive;
    changed[at] = static_cast<char>(changed[at] ^ 0xff);
    ParseNpz(changed).status().IgnoreError();  // must not crash; some bytes (dates) carry no meaning
  }
}

TEST(NpzTest, DamagedContentFailsItsChecksum) {
  const Tensor x = Tensor::From<uint8_t>({4}, {1, 2, 3, 4});
  std::string archive = FormatNpz({{"x", x.view()}});
  const size_t at = archive.find("\1\2\3\4");
  ASSERT_NE(at, std::string::npos);
  archive[at] = 9;
  EXPECT_EQ(ParseNpz(archive).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace precis
