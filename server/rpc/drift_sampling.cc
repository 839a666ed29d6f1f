// Decoding once more says where each input's elements lie: in raw contents, in a typed field, or in a tensor of their own.

#include "server/rpc/drift_sampling.h"

#include <utility>

#include "server/rpc/tensor_codec.h"

namespace precis::server {

DriftSample TakeDriftSample(std::vector<ShadowRun> runs, const Signature& signature, const std::vector<Tensor>& outputs,
                            inference::ModelInferRequest* request) {
  DriftSample sample;
  auto decoded = DecodeInputs(*request, signature);
  if (!decoded.ok()) return sample;  // not after it was answered
  sample.runs = std::move(runs);
  sample.batch_size = decoded->batch_size;
  sample.inputs = std::move(decoded->views);
  sample.tensors = std::move(decoded->narrowed);
  for (const Tensor& output : outputs) sample.answers.push_back(output.Clone());
  sample.bytes.reserve(static_cast<size_t>(request->raw_input_contents_size()));  // short strings lie in the vector
  for (std::string& raw : *request->mutable_raw_input_contents()) {
    for (TensorView& input : sample.inputs) {
      if (input.data != raw.data()) continue;
      sample.bytes.push_back(std::move(raw));
      input.data = sample.bytes.back().data();
      break;
    }
  }
  if (request->raw_input_contents_size() > 0) return sample;
  for (TensorView& input : sample.inputs) {  // typed fields stay with the request
    sample.tensors.push_back(Tensor::CopyOf(input));
    input.data = sample.tensors.back().data();
  }
  return sample;
}

}  // namespace precis::server
