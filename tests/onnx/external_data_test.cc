#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/onnx/text_model.h"

namespace precis::onnx_import {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ExternalDataTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "precis_external_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    fs::create_directories(root_ / "model" / "weights");
    Write("model/w.bin", "\1\2\3\4");
    Write("model/weights/w.bin", "\5\6\7\10");
    Write("outside.bin", "\11\11\11\11");
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(root_ / name, std::ios::binary) << bytes;
  }
  std::string ModelFolder() const { return (root_ / "model").string(); }

  // y = x + w, with w: uint8[4] at `location`.
  static onnx::ModelProto Model(const std::string& location, const std::string& offset = "",
                                const std::string& length = "") {
    onnx::ModelProto model = ParseModel("g (uint8[4] x) => (uint8[4] y) { y = Add(x, w) }");
    onnx::TensorProto* w = model.mutable_graph()->add_initializer();
    w->set_name("w");
    w->set_data_type(onnx::TensorProto::UINT8);
    w->add_dims(4);
    w->set_data_location(onnx::TensorProto::EXTERNAL);
    const auto add = [&](const char* key, const std::string& value) {
      if (value.empty()) return;
      auto* entry = w->add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    };
    add("location", location);
    add("offset", offset);
    add("length", length);
    return model;
  }

  absl::Status Refused(const onnx::ModelProto& model) { return Import(model, ModelFolder()).status(); }
  void ExpectRefused(const onnx::ModelProto& model, const std::string& why) {
    const absl::Status status = Refused(model);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
    EXPECT_THAT(std::string(status.message()), HasSubstr("initializer \"w\""));
  }

  static int64_t FirstElement(const ir::Graph& graph) {
    for (ir::ValueId v = 0; v < graph.num_values(); ++v) {
      if (graph.IsConstant(v)) return graph.ConstantOrNull(v)->As<uint8_t>()[0];
    }
    return -1;
  }

  fs::path root_;
};

TEST_F(ExternalDataTest, ReadsFilesOfTheFolderAndBelow) {
  auto graph = Import(Model("w.bin"), ModelFolder());
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(FirstElement(*graph), 1);
  graph = Import(Model("weights/w.bin", "0", "4"), ModelFolder());
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(FirstElement(*graph), 5);
}

TEST_F(ExternalDataTest, ReadsBesideTheModelFile) {
  std::ofstream file(root_ / "model" / "model.onnx", std::ios::binary);
  Model("w.bin").SerializeToOstream(&file);
  file.close();
  EXPECT_TRUE(ImportFile((root_ / "model" / "model.onnx").string()).ok());
}

TEST_F(ExternalDataTest, ReadsFromAnOffset) {
  Write("model/long.bin", "......\7\7\7\7");
  const auto graph = Import(Model("long.bin", "6", "4"), ModelFolder());
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(FirstElement(*graph), 7);
}

TEST_F(ExternalDataTest, FollowsLinksThatStayInside) {
  fs::create_symlink("weights/w.bin", root_ / "model" / "link.bin");
  EXPECT_TRUE(Import(Model("link.bin"), ModelFolder()).ok());
}

TEST_F(ExternalDataTest, RefusesPathsThatLeaveTheFolder) {
  fs::create_symlink("../outside.bin", root_ / "model" / "link.bin");
  fs::create_directory_symlink("..", root_ / "model" / "up");
  ExpectRefused(Model("../outside.bin"), "leaves the model's folder");
  ExpectRefused(Model("weights/../../outside.bin"), "leaves the model's folder");
  ExpectRefused(Model((root_ / "outside.bin").string()), "absolute path");
  ExpectRefused(Model("link.bin"), "leaves the model's folder through a link");
  ExpectRefused(Model("up/outside.bin"), "leaves the model's folder through a link");
}

TEST_F(ExternalDataTest, RefusesAFolderWhoseNameBeginsAlike) {
  fs::create_directories(root_ / "model2");
  Write("model2/w.bin", "\1\1\1\1");
  fs::create_symlink("../model2/w.bin", root_ / "model" / "alike.bin");
  ExpectRefused(Model("alike.bin"), "through a link");
}

TEST_F(ExternalDataTest, RefusesEverythingWithoutAFolder) {
  const absl::Status status = Import(Model("w.bin"), "").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the model has no folder"));
}

TEST_F(ExternalDataTest, RefusesWhatIsNoRegularFile) {
  ASSERT_EQ(::mkfifo((root_ / "model" / "pipe").c_str(), 0600), 0);
  ExpectRefused(Model("pipe"), "not a regular file");
  ExpectRefused(Model("weights"), "not a regular file");
  ExpectRefused(Model("absent.bin"), "No such file");
  ExpectRefused(Model(""), "not a path");
  ExpectRefused(Model(std::string("w.bin\0x", 7)), "not a path");
}

TEST_F(ExternalDataTest, RefusesRangesThatTheFileOrTheDimsDoNotHave) {
  ExpectRefused(Model("w.bin", "1"), "4 bytes, want 4 from offset 1");
  ExpectRefused(Model("w.bin", "-1"), "from offset -1");
  ExpectRefused(Model("w.bin", "9223372036854775807"), "from offset 9223372036854775807");
  ExpectRefused(Model("w.bin", "0", "3"), "length 3, dims want 4");
  ExpectRefused(Model("w.bin", "zero"), "offset is \"zero\"");
}

TEST_F(ExternalDataTest, RefusesFilesOverTheLimit) {
  ImportLimits limits;
  limits.max_file_bytes = 3;
  EXPECT_EQ(Import(Model("w.bin"), ModelFolder(), limits).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ExternalDataTest, CountsSharedBytesForEachTensor) {
  onnx::ModelProto model = Model("w.bin");
  *model.mutable_graph()->add_initializer() = model.graph().initializer(0);
  model.mutable_graph()->mutable_initializer(1)->set_name("v");
  ImportLimits limits;
  limits.max_weight_bytes = 7;
  const absl::Status status = Import(model, ModelFolder(), limits).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("initializer \"v\""));
}

}  // namespace
}  // namespace precis::onnx_import
