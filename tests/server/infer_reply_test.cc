#include "server/rpc/infer_reply.h"

#include <string>
#include <vector>

#include "grpcpp/impl/codegen/proto_utils.h"
#include "gtest/gtest.h"

namespace precis::server {
namespace {

std::vector<Tensor> Outputs() {
  std::vector<Tensor> outputs;
  outputs.push_back(Tensor::From<float>({2}, {1, 2}));                                // copied
  outputs.push_back(Tensor::From<uint8_t>({5000}, std::vector<uint8_t>(5000, 'x')));  // handed over
  outputs.push_back(Tensor(DataType::kF32, {0}));
  return outputs;
}

inference::ModelInferResponse Header() {
  inference::ModelInferResponse header;
  header.set_model_name("net");
  header.set_id("42");
  return header;
}

template <typename Message>
Message Parse(grpc::ByteBuffer buffer) {
  Message message;
  EXPECT_TRUE(grpc::SerializationTraits<Message>::Deserialize(&buffer, &message).ok());
  return message;
}

void ExpectReply(const inference::ModelInferResponse& reply) {
  EXPECT_EQ(reply.model_name(), "net");
  EXPECT_EQ(reply.id(), "42");
  ASSERT_EQ(reply.raw_output_contents_size(), 3);
  EXPECT_EQ(reply.raw_output_contents(0), std::string(5000, 'x'));
  EXPECT_EQ(reply.raw_output_contents(1).size(), 8U);
  EXPECT_EQ(reply.raw_output_contents(2), "");
}

TEST(InferReplyTest, IsAModelInferResponse) {
  ExpectReply(Parse<inference::ModelInferResponse>(MakeReply(Header(), Outputs(), {1, 0, 2}, ReplyKind::kUnary)));
}

TEST(InferReplyTest, IsAModelStreamInferResponseOnAStream) {
  const auto message =
      Parse<inference::ModelStreamInferResponse>(MakeReply(Header(), Outputs(), {1, 0, 2}, ReplyKind::kStream));
  EXPECT_EQ(message.error_message(), "");
  ExpectReply(message.infer_response());
}

TEST(InferReplyTest, CarriesAStreamsErrorWithTheRequestsId) {
  const auto message = Parse<inference::ModelStreamInferResponse>(MakeStreamError(Header(), "no"));
  EXPECT_EQ(message.error_message(), "no");
  EXPECT_EQ(message.infer_response().id(), "42");
}

TEST(InferReplyTest, MayBeEmpty) {
  EXPECT_EQ(MakeReply(inference::ModelInferResponse(), {}, {}, ReplyKind::kUnary).Length(), 0U);
}

}  // namespace
}  // namespace precis::server
