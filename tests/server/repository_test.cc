#include "server/config/repository.h"

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fake_files.h"

namespace precis::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;

TEST(RepositoryTest, FindsModelsInTritonsLayout) {
  FakeFiles files;
  files.Write("net/1/model.onnx", "x");
  files.Write("net/config.pbtxt", "max_batch_size: 8");
  files.Write("net/precision.textproto", "policies { name: 'careful' policy { precision: INT8 } }");
  files.Write("other/3/model.onnx", "x");
  files.Write(".hidden/1/model.onnx", "x");
  files.Write("README", "not a model");
  const auto sources = Repository(files.root(), {}).Scan();
  ASSERT_TRUE(sources.ok()) << sources.status();
  EXPECT_THAT(*sources, ElementsAre(Key("net"), Key("other")));
  const ModelSource& net = sources->at("net");
  EXPECT_TRUE(net.status.ok()) << net.status;
  EXPECT_EQ(net.versions.at(1), files.root() + "/net/1/model.onnx");
  EXPECT_EQ(net.calibration_dir, files.root() + "/net/calibration");
  EXPECT_EQ(net.config.max_batch_size(), 8);
  EXPECT_EQ(net.precision.policies(0).name(), "careful");
}

TEST(RepositoryTest, ServesTheVersionsOfThePolicy) {
  FakeFiles files;
  for (const char* version : {"1", "2", "10", "x", "0", "01"}) {
    files.Write(std::string("net/") + version + "/model.onnx", "x");
  }
  std::filesystem::create_directories(files.root() + "/net/11");  // no model in it
  const Repository repository(files.root(), {});
  EXPECT_THAT(repository.Find("net")->versions, ElementsAre(Key(10)));
  files.Write("net/config.pbtxt", "version_policy { latest { num_versions: 2 } }");
  EXPECT_THAT(repository.Find("net")->versions, ElementsAre(Key(2), Key(10)));
  files.Write("net/config.pbtxt", "version_policy { all {} }");
  EXPECT_THAT(repository.Find("net")->versions, ElementsAre(Key(1), Key(2), Key(10)));
  files.Write("net/config.pbtxt", "version_policy { specific { versions: [1] } }");
  EXPECT_THAT(repository.Find("net")->versions, ElementsAre(Key(1)));
  files.Write("net/config.pbtxt", "version_policy { specific { versions: [4] } }");
  EXPECT_TRUE(absl::IsNotFound(repository.Find("net")->status));
}

TEST(RepositoryTest, TakesTheFileNameOfTheConfiguration) {
  FakeFiles files;
  files.Write("net/1/other.onnx", "x");
  files.Write("net/config.pbtxt", "default_model_filename: 'other.onnx'");
  EXPECT_TRUE(Repository(files.root(), {}).Find("net")->status.ok());
  files.Write("net/config.pbtxt", "default_model_filename: '../1/other.onnx'");
  EXPECT_TRUE(absl::IsInvalidArgument(Repository(files.root(), {}).Find("net")->status));
}

TEST(RepositoryTest, ServesFilesAndFoldersByName) {
  FakeFiles files;
  const std::string file = files.Write("somewhere/net.onnx", "x");
  files.Write("folder/1/model.onnx", "x");
  const Repository repository("", {{"a", file}, {"b", files.root() + "/folder"}, {"c", "/does/not/exist"}});
  const auto sources = repository.Scan();
  ASSERT_TRUE(sources.ok()) << sources.status();
  EXPECT_EQ(sources->at("a").versions.at(1), file);
  EXPECT_EQ(sources->at("a").calibration_dir, files.root() + "/somewhere/calibration");
  EXPECT_TRUE(sources->at("b").status.ok());
  EXPECT_TRUE(absl::IsNotFound(sources->at("c").status));
}

TEST(RepositoryTest, SaysWhyAModelCannotBeServed) {
  FakeFiles files;
  files.Write("empty/notes.txt", "");
  files.Write("bad_config/1/model.onnx", "x");
  files.Write("bad_config/config.pbtxt", "max_batch_size: many");
  files.Write("bad_precision/1/model.onnx", "x");
  files.Write("bad_precision/precision.textproto", "polices {}");
  files.Write("bad_default/1/model.onnx", "x");
  files.Write("bad_default/precision.textproto", "default_variant: 'int9'");
  const auto sources = Repository(files.root(), {}).Scan();
  ASSERT_TRUE(sources.ok()) << sources.status();
  EXPECT_THAT(std::string(sources->at("empty").status.message()), HasSubstr("1/model.onnx"));
  EXPECT_THAT(std::string(sources->at("bad_config").status.message()), HasSubstr("config.pbtxt:1:17"));
  EXPECT_THAT(std::string(sources->at("bad_precision").status.message()), HasSubstr("polices"));
  EXPECT_THAT(std::string(sources->at("bad_default").status.message()), HasSubstr("int9"));
  for (const auto& [name, source] : *sources) EXPECT_THAT(source.versions, IsEmpty()) << name;
}

TEST(RepositoryTest, OnlyWarnsOfFieldsThatItDoesNotKnow) {
  FakeFiles files;
  files.Write("net/1/model.onnx", "x");
  files.Write("net/config.pbtxt", "max_batch_size: 2\nfrom_the_future: 3\n");
  const auto net = Repository(files.root(), {}).Find("net");
  EXPECT_TRUE(net->status.ok()) << net->status;
  EXPECT_THAT(net->warnings, ElementsAre(HasSubstr("from_the_future")));
}

TEST(RepositoryTest, FingerprintFollowsTheFiles) {
  FakeFiles files;
  files.Write("net/1/model.onnx", "x");
  const Repository repository(files.root(), {});
  const std::string before = repository.Find("net")->fingerprint;
  EXPECT_EQ(repository.Find("net")->fingerprint, before);
  files.Write("net/1/model.onnx", "longer");
  const std::string changed = repository.Find("net")->fingerprint;
  EXPECT_NE(changed, before);
  files.Write("net/calibration/x.npy", "x");
  EXPECT_NE(repository.Find("net")->fingerprint, changed);
}

TEST(RepositoryTest, DoesNotKnowOtherModels) {
  FakeFiles files;
  EXPECT_TRUE(absl::IsNotFound(Repository(files.root(), {}).Find("net").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Repository(files.root(), {}).Find("../net").status()));
  EXPECT_TRUE(absl::IsNotFound(Repository("/does/not/exist", {}).Scan().status()));
}

}  // namespace
}  // namespace precis::server
