// The tensor codec on arbitrary requests: it returns views that fit the signature and stay inside the request, or an error.
//
// The first byte picks a signature, the rest is a ModelInferRequest in wire format.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "inference/grpc_service.pb.h"
#include "server/rpc/tensor_codec.h"

namespace {

using precis::DataType;
using precis::server::Signature;
using precis::server::WireTensor;

WireTensor Wire(const char* name, DataType dtype, precis::Shape shape) { return {name, dtype, shape, shape}; }

// x and y of every type, once free and once batched; and one input with a reshape.
std::vector<Signature> MakeSignatures() {
  std::vector<Signature> signatures;
  for (int type = 0; type <= static_cast<int>(DataType::kBool); ++type) {
    const auto dtype = static_cast<DataType>(type);
    for (const int max_batch_size : {0, 4}) {
      Signature signature;
      signature.inputs = {Wire("x", dtype, {-1, 2}), Wire("y", DataType::kF32, {-1})};
      signature.outputs = {Wire("a", dtype, {-1}), Wire("b", dtype, {-1})};
      signature.max_batch_size = max_batch_size;
      signatures.push_back(signature);
    }
  }
  Signature reshaped;
  reshaped.inputs = {{"x", DataType::kU8, {-1, 4}, {-1, 2, 2}}};
  signatures.push_back(reshaped);
  return signatures;
}

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "decoded, but: %s\n", what);
  std::abort();
}

void CheckView(const precis::TensorView& view, const WireTensor& want) {
  Require(view.dtype == want.dtype, "another type");
  Require(view.shape.size() == want.engine_shape.size(), "another rank");
  for (size_t i = 0; i < view.shape.size(); ++i) {
    Require(view.shape[i] >= 0 && (want.engine_shape[i] < 0 || view.shape[i] == want.engine_shape[i]), "another shape");
  }
  // AddressSanitizer watches this.
  const auto* bytes = static_cast<const volatile unsigned char*>(view.data);
  unsigned sum = 0;
  for (size_t i = 0; i < view.size_bytes(); ++i) sum += bytes[i];
  (void)sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<Signature> signatures = MakeSignatures();
  if (size < 1) return 0;
  const Signature& signature = signatures[data[0] % signatures.size()];
  inference::ModelInferRequest request;
  if (!request.ParseFromArray(data + 1, static_cast<int>(size - 1))) return 0;
  const auto decoded = precis::server::DecodeInputs(request, signature);
  if (decoded.ok()) {
    Require(decoded->views.size() == signature.inputs.size(), "another number of inputs");
    for (size_t i = 0; i < decoded->views.size(); ++i) CheckView(decoded->views[i], signature.inputs[i]);
  }
  const auto wanted = precis::server::RequestedOutputs(request, signature);
  if (wanted.ok()) {
    for (size_t index : *wanted) Require(index < signature.outputs.size(), "an output that is not there");
  }
  return 0;
}
