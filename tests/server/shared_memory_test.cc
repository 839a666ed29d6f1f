#include "server/rpc/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace precis::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// An object of the system's shared memory, gone with the test.
class Object {
 public:
  explicit Object(const std::string& bytes)
      : key_(absl::StrCat("/precis_test_", getpid(), "_", next_++)),
        descriptor_(shm_open(key_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600)) {
    EXPECT_GE(descriptor_, 0);
    EXPECT_EQ(pwrite(descriptor_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  ~Object() {
    close(descriptor_);
    shm_unlink(key_.c_str());
  }

  const std::string& key() const { return key_; }
  void Truncate(off_t size) { EXPECT_EQ(ftruncate(descriptor_, size), 0); }
  std::string bytes() const {
    std::string bytes(64, '\0');
    bytes.resize(static_cast<size_t>(pread(descriptor_, bytes.data(), bytes.size(), 0)));
    return bytes;
  }

 private:
  static inline int next_ = 0;
  const std::string key_;
  const int descriptor_;
};

inference::ModelInferRequest Request(const std::string& text) {
  inference::ModelInferRequest request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
  return request;
}

std::string InRegion(const std::string& region, int64_t offset, int64_t size) {
  return absl::StrCat("parameters { key: 'shared_memory_region' value { string_param: '", region, "' } }",
                      "parameters { key: 'shared_memory_offset' value { int64_param: ", offset, " } }",
                      "parameters { key: 'shared_memory_byte_size' value { int64_param: ", size, " } }");
}

class SharedMemoryTest : public testing::Test {
 protected:
  Object object_{"0123456789"};
  SharedMemory memory_{true, 8};
};

TEST_F(SharedMemoryTest, PutsSharedInputsAmongTheSentOnesInTheRequestsOrder) {
  ASSERT_TRUE(memory_.Register("r", object_.key(), 2, 6).ok());
  auto request =
      Request(absl::StrCat("inputs { name: 'a' ", InRegion("r", 1, 3), "} inputs { name: 'b' } inputs { name: 'c' ",
                           InRegion("r", 0, 2), "} raw_input_contents: 'sent'"));
  ASSERT_TRUE(memory_.ReadInputs(&request).ok());
  EXPECT_THAT(request.raw_input_contents(), ElementsAre("345", "sent", "23"));
  EXPECT_THAT(request.inputs(0).parameters(), IsEmpty());
}

TEST_F(SharedMemoryTest, LeavesOtherRequestsAsTheyAre) {
  auto request = Request("inputs { name: 'a' } outputs { name: 'o' } raw_input_contents: 'sent'");
  const std::string before = request.DebugString();
  ASSERT_TRUE(memory_.ReadInputs(&request).ok());
  const auto outputs = memory_.SpansOfOutputs(request);
  ASSERT_TRUE(outputs.ok());
  EXPECT_THAT(*outputs, IsEmpty());
  EXPECT_EQ(request.DebugString(), before);
}

TEST_F(SharedMemoryTest, RefusesInputsThatItCannotRead) {
  ASSERT_TRUE(memory_.Register("r", object_.key(), 0, 10).ok());
  const auto read = [&](const std::string& text) {
    auto request = Request(text);
    return memory_.ReadInputs(&request);
  };
  const auto of = [&](const std::string& parameters) { return absl::StrCat("inputs { name: 'a' ", parameters, "}"); };
  const absl::Status unknown = read(of(InRegion("other", 0, 2)));
  EXPECT_TRUE(absl::IsNotFound(unknown)) << unknown;
  EXPECT_THAT(unknown.message(), HasSubstr("input \"a\": no shared memory region \"other\""));
  for (const std::string& text :
       {of(InRegion("r", 4, 7)), of(InRegion("r", 11, 0)), of(InRegion("r", 0, 9)),  // 8 is the most for a tensor
        absl::StrCat(of(InRegion("r", 0, 5)), of(InRegion("r", 0, 5))), of(InRegion("r", -1, 2)),
        of(InRegion("", 0, 2)), of(InRegion("r", 0, 2) + "contents { int_contents: 1 }"),
        of(InRegion("r", 0, 2)) + "raw_input_contents: 'sent'", of(InRegion("r", 0, 2)) + "inputs { name: 'b' }"}) {
    const absl::Status status = read(text);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status << " for " << text;
  }
}

TEST_F(SharedMemoryTest, WritesOutputsAndSaysWhereTheyAre) {
  ASSERT_TRUE(memory_.Register("r", object_.key(), 2, 6).ok());
  auto request = Request(absl::StrCat("outputs { name: 'sent' } outputs { name: 'shared' ", InRegion("r", 2, 4), "}"));
  const auto spans = memory_.SpansOfOutputs(request);
  ASSERT_TRUE(spans.ok());
  std::vector<Tensor> outputs;
  outputs.push_back(Tensor::From<int8_t>({3}, {'x', 'y', 'z'}));
  outputs.push_back(Tensor::From<int8_t>({1}, {'s'}));
  inference::ModelInferResponse response;
  response.add_outputs()->set_name("sent");
  response.add_outputs()->set_name("shared");
  ASSERT_TRUE(memory_.Unregister("r").ok());  // after the request came: it still has it
  ASSERT_TRUE(WriteSharedOutputs(*spans, {1, 0}, &outputs, &response).ok());
  EXPECT_EQ(object_.bytes(), "0123xyz789");
  EXPECT_EQ(outputs[0].size_bytes(), 0u);
  EXPECT_EQ(outputs[1].size_bytes(), 1u);
  EXPECT_THAT(response.outputs(0).parameters(), IsEmpty());
  const auto& parameters = response.outputs(1).parameters();
  EXPECT_EQ(parameters.at("shared_memory_region").string_param(), "r");
  EXPECT_EQ(parameters.at("shared_memory_offset").int64_param(), 2);
  EXPECT_EQ(parameters.at("shared_memory_byte_size").int64_param(), 3);
}

TEST_F(SharedMemoryTest, RefusesASpanThatIsTooSmallForTheOutput) {
  ASSERT_TRUE(memory_.Register("r", object_.key(), 0, 10).ok());
  auto request = Request(absl::StrCat("outputs { name: 'o' ", InRegion("r", 0, 2), "}"));
  const auto spans = memory_.SpansOfOutputs(request);
  ASSERT_TRUE(spans.ok());
  std::vector<Tensor> outputs;
  outputs.push_back(Tensor::From<int8_t>({3}, {1, 2, 3}));
  inference::ModelInferResponse response;
  response.add_outputs()->set_name("o");
  EXPECT_TRUE(absl::IsInvalidArgument(WriteSharedOutputs(*spans, {0}, &outputs, &response)));
  EXPECT_EQ(object_.bytes(), "0123456789");
}

TEST_F(SharedMemoryTest, AnObjectThatHasBecomeShorterIsAnErrorAndIsNotMadeLonger) {
  ASSERT_TRUE(memory_.Register("r", object_.key(), 0, 10).ok());
  const auto region = memory_.List("r")->at("r");
  object_.Truncate(4);
  char bytes[8] = {};
  EXPECT_TRUE(absl::IsFailedPrecondition(region->Read(0, bytes, sizeof(bytes))));
  EXPECT_TRUE(absl::IsFailedPrecondition(region->Write(0, bytes, sizeof(bytes))));
  EXPECT_EQ(object_.bytes(), "0123");
}

TEST_F(SharedMemoryTest, KeepsRegionsByName) {
  EXPECT_TRUE(memory_.Register("b", object_.key(), 0, 10).ok());
  EXPECT_TRUE(memory_.Register("a", object_.key(), 4, 6).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(memory_.Register("a", object_.key(), 0, 1)));
  EXPECT_EQ(memory_.List("")->size(), 2u);
  EXPECT_EQ(memory_.List("a")->at("a")->offset(), 4u);
  EXPECT_TRUE(memory_.Unregister("a").ok());
  EXPECT_TRUE(memory_.Unregister("a").ok());
  EXPECT_TRUE(absl::IsNotFound(memory_.List("a").status()));
  EXPECT_TRUE(memory_.Unregister("").ok());
  EXPECT_THAT(*memory_.List(""), IsEmpty());
}

TEST_F(SharedMemoryTest, RefusesRegionsThatDoNotFitTheirObject) {
  EXPECT_TRUE(absl::IsNotFound(memory_.Register("r", object_.key() + "x", 0, 1)));
  EXPECT_TRUE(absl::IsInvalidArgument(memory_.Register("r", "/../etc/hostname", 0, 1)));
  EXPECT_TRUE(absl::IsInvalidArgument(memory_.Register("", object_.key(), 0, 1)));
  EXPECT_TRUE(absl::IsInvalidArgument(memory_.Register("r", object_.key() + std::string("\0x", 2), 0, 1)));
  EXPECT_TRUE(absl::IsInvalidArgument(memory_.Register("r", object_.key(), 0, 0)));
  EXPECT_TRUE(absl::IsInvalidArgument(memory_.Register("r", object_.key(), 4, 7)));
  EXPECT_TRUE(absl::IsInvalidArgument(memory_.Register("r", object_.key(), 11, 1)));
  EXPECT_TRUE(absl::IsInvalidArgument(memory_.Register("r", object_.key(), 2, UINT64_MAX)));
  EXPECT_THAT(*memory_.List(""), IsEmpty());
}

TEST_F(SharedMemoryTest, HoldsOnlySoManyRegions) {
  for (size_t i = 0; i < SharedMemory::kMaxRegions; ++i) {
    ASSERT_TRUE(memory_.Register(absl::StrCat(i), object_.key(), 0, 1).ok()) << i;
  }
  EXPECT_TRUE(absl::IsResourceExhausted(memory_.Register("more", object_.key(), 0, 1)));
}

TEST_F(SharedMemoryTest, IsUnimplementedUnlessItIsAllowed) {
  SharedMemory memory(false, 8);
  const absl::Status status = memory.Register("r", object_.key(), 0, 1);
  EXPECT_TRUE(absl::IsUnimplemented(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("--system_shared_memory"));
  EXPECT_TRUE(absl::IsUnimplemented(memory.List("").status()));
  EXPECT_TRUE(absl::IsUnimplemented(memory.Unregister("")));
  auto request = Request(
      absl::StrCat("inputs { name: 'a' ", InRegion("r", 0, 1), "} outputs { name: 'o' ", InRegion("r", 0, 1), "}"));
  EXPECT_TRUE(absl::IsUnimplemented(memory.ReadInputs(&request)));
  EXPECT_TRUE(absl::IsUnimplemented(memory.SpansOfOutputs(request).status()));
}

}  // namespace
}  // namespace precis::server
