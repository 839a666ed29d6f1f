// A protobuf message is its fields in any order, one after another, so a reply can be put together from parts: the header as
// protobuf writes it, then for each output the tag and length of raw_output_contents and the tensor's own memory, handed to
// gRPC as a slice. A stream's message is the same behind the tag and length of infer_response.
// https://protobuf.dev/programming-guides/encoding/ (length-delimited records)

#include "server/rpc/infer_reply.h"

#include <cstdint>
#include <cstring>
#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "grpcpp/support/slice.h"

namespace precis::server {
namespace {

using google::protobuf::io::CodedOutputStream;
using inference::ModelInferResponse;
using inference::ModelStreamInferResponse;

// Below this a copy costs less than a slice of its own.
constexpr size_t kCopyLimit = 2048;
constexpr uint32_t kLengthDelimited = 2;
constexpr size_t kMaxPrefix = 16;  // a tag and a length

constexpr uint8_t Tag(int field) { return static_cast<uint8_t>(static_cast<uint32_t>(field) << 3 | kLengthDelimited); }
constexpr uint8_t kRawOutputTag = Tag(ModelInferResponse::kRawOutputContentsFieldNumber);
constexpr uint8_t kInferResponseTag = Tag(ModelStreamInferResponse::kInferResponseFieldNumber);

// Writes tag and length; returns the end.
uint8_t* WritePrefix(uint8_t tag, size_t length, uint8_t* out) {
  *out++ = tag;
  return CodedOutputStream::WriteVarint64ToArray(length, out);
}
size_t PrefixSize(size_t length) { return 1 + CodedOutputStream::VarintSize64(length); }

grpc::Slice SliceOf(Tensor tensor) {
  auto* owner = new Tensor(std::move(tensor));
  return grpc::Slice(owner->data(), owner->size_bytes(), [](void* p) { delete static_cast<Tensor*>(p); }, owner);
}

}  // namespace

grpc::ByteBuffer MakeReply(const ModelInferResponse& header, std::vector<Tensor> outputs,
                           const std::vector<size_t>& wanted, ReplyKind kind) {
  size_t body = header.ByteSizeLong();
  for (size_t index : wanted) body += PrefixSize(outputs[index].size_bytes()) + outputs[index].size_bytes();

  std::vector<grpc::Slice> slices;
  std::string bytes;  // not yet in a slice
  bytes.reserve(header.ByteSizeLong() + wanted.size() * (kMaxPrefix + kCopyLimit) + kMaxPrefix);
  uint8_t prefix[kMaxPrefix];
  const auto append_prefix = [&](uint8_t tag, size_t length) {
    bytes.append(reinterpret_cast<char*>(prefix), static_cast<size_t>(WritePrefix(tag, length, prefix) - prefix));
  };
  if (kind == ReplyKind::kStream) append_prefix(kInferResponseTag, body);
  header.AppendToString(&bytes);
  for (size_t index : wanted) {
    Tensor& tensor = outputs[index];
    append_prefix(kRawOutputTag, tensor.size_bytes());
    if (tensor.size_bytes() <= kCopyLimit) {
      bytes.append(static_cast<const char*>(tensor.data()), tensor.size_bytes());
      continue;
    }
    slices.emplace_back(bytes);
    bytes.clear();
    slices.push_back(SliceOf(std::move(tensor)));
  }
  if (!bytes.empty()) slices.emplace_back(bytes);
  return grpc::ByteBuffer(slices.data(), slices.size());
}

grpc::ByteBuffer MakeStreamError(const ModelInferResponse& header, const std::string& message) {
  ModelStreamInferResponse reply;
  reply.set_error_message(message);
  *reply.mutable_infer_response() = header;
  const grpc::Slice slice(reply.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace precis::server
