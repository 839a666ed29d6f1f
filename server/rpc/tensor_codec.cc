#include "server/rpc/tensor_codec.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "engine/base/status_macros.h"
#include "server/rpc/infer_request.h"

namespace precis::server {
namespace {

using inference::InferTensorContents;
using InputTensor = inference::ModelInferRequest::InferInputTensor;

// Elements of one tensor; far above what a message of 2 GiB can hold, far below overflow.
constexpr int64_t kMaxElements = int64_t{1} << 40;

absl::Status BadInput(absl::string_view name, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("input ", Quoted(name), ": ", what));
}

bool Matches(const Shape& want, const google::protobuf::RepeatedField<int64_t>& shape) {
  return std::equal(want.begin(), want.end(), shape.begin(), shape.end(),
                    [](int64_t w, int64_t s) { return s >= 0 && (w < 0 || w == s); });
}

// The free dimensions of `to` take, in order, the values that those of `from` have in `shape`.
Shape Reshaped(const Shape& from, const Shape& to, Shape shape) {
  if (from == to) return shape;
  std::vector<int64_t> free;
  for (size_t i = 0; i < from.size() && i < shape.size(); ++i) {
    if (from[i] < 0) free.push_back(shape[i]);
  }
  Shape result = to;
  size_t next = 0;
  for (int64_t& dim : result) {
    if (dim < 0 && next < free.size()) dim = free[next++];
  }
  return result;
}

absl::StatusOr<Shape> CheckShape(const InputTensor& input, const WireTensor& want, int max_batch_size) {
  const Shape shape(input.shape().begin(), input.shape().end());
  if (!Matches(want.shape, input.shape())) {
    if (shape.size() > 16)
      return BadInput(want.name, absl::StrCat("rank ", shape.size(), ", want ", want.shape.size()));
    return BadInput(want.name, absl::StrCat("shape ", ShapeToString(shape), ", want ", ShapeToString(want.shape)));
  }
  if (max_batch_size > 0 && (shape[0] < 1 || shape[0] > max_batch_size)) {
    return BadInput(want.name, absl::StrCat("batch of ", shape[0], ", want 1 to ", max_batch_size));
  }
  if (CheckedNumElements(shape, kMaxElements) < 0) return BadInput(want.name, "too many elements");
  return shape;
}

absl::Status CheckLength(const WireTensor& want, const Shape& shape, uint64_t have, uint64_t expected,
                         absl::string_view unit) {
  if (have == expected) return absl::OkStatus();
  return BadInput(want.name, absl::StrCat(have, " ", unit, ", want ", expected, " for shape ", ShapeToString(shape)));
}

absl::Status CheckBools(const WireTensor& want, const std::string& bytes) {
  const auto bad = std::find_if(bytes.begin(), bytes.end(), [](char c) { return c != 0 && c != 1; });
  if (bad == bytes.end()) return absl::OkStatus();
  return BadInput(want.name, absl::StrCat("BOOL byte ", static_cast<unsigned char>(*bad), ", want 0 or 1"));
}

// Elements of another field than the datatype's own are a client's mistake, never to be ignored.
absl::Status CheckOnlyField(const WireTensor& want, const InferTensorContents& contents, int used) {
  const int total = contents.bool_contents_size() + contents.int_contents_size() + contents.int64_contents_size() +
                    contents.uint_contents_size() + contents.uint64_contents_size() + contents.fp32_contents_size() +
                    contents.fp64_contents_size() + contents.bytes_contents_size();
  if (total == used) return absl::OkStatus();
  return BadInput(want.name, absl::StrCat("contents in a field that does not belong to datatype ",
                                          std::string(KServeName(want.dtype))));
}

// A field with elements of the tensor's own size, used in place.
template <typename T>
absl::StatusOr<const void*> InPlace(const WireTensor& want, const Shape& shape, const InferTensorContents& contents,
                                    const google::protobuf::RepeatedField<T>& field) {
  PRECIS_RETURN_IF_ERROR(CheckOnlyField(want, contents, field.size()));
  PRECIS_RETURN_IF_ERROR(CheckLength(want, shape, static_cast<uint64_t>(field.size()),
                                     static_cast<uint64_t>(NumElements(shape)), "elements"));
  return field.data();
}

// A field of wider elements, copied. Errors: InvalidArgument for a value that does not fit.
template <typename Narrow, typename Wide>
absl::StatusOr<const void*> Narrowed(const WireTensor& want, const Shape& shape, const InferTensorContents& contents,
                                     const google::protobuf::RepeatedField<Wide>& field, std::vector<Tensor>* storage) {
  PRECIS_RETURN_IF_ERROR(InPlace(want, shape, contents, field).status());
  Tensor tensor(want.dtype, shape);
  auto values = tensor.As<Narrow>();
  for (int i = 0; i < field.size(); ++i) {
    if (field[i] < std::numeric_limits<Narrow>::min() || field[i] > std::numeric_limits<Narrow>::max()) {
      return BadInput(want.name,
                      absl::StrCat("value ", field[i], " does not fit ", std::string(KServeName(want.dtype))));
    }
    values[static_cast<size_t>(i)] = static_cast<Narrow>(field[i]);
  }
  storage->push_back(std::move(tensor));
  return storage->back().data();
}

absl::StatusOr<const void*> TypedContents(const WireTensor& want, const Shape& shape,
                                          const InferTensorContents& contents, std::vector<Tensor>* storage) {
  switch (want.dtype) {
    case DataType::kF32: return InPlace(want, shape, contents, contents.fp32_contents());
    case DataType::kF64: return InPlace(want, shape, contents, contents.fp64_contents());
    case DataType::kS32: return InPlace(want, shape, contents, contents.int_contents());
    case DataType::kU32: return InPlace(want, shape, contents, contents.uint_contents());
    case DataType::kS64: return InPlace(want, shape, contents, contents.int64_contents());
    case DataType::kU64: return InPlace(want, shape, contents, contents.uint64_contents());
    case DataType::kBool: return InPlace(want, shape, contents, contents.bool_contents());
    case DataType::kS8: return Narrowed<int8_t>(want, shape, contents, contents.int_contents(), storage);
    case DataType::kS16: return Narrowed<int16_t>(want, shape, contents, contents.int_contents(), storage);
    case DataType::kU8: return Narrowed<uint8_t>(want, shape, contents, contents.uint_contents(), storage);
    case DataType::kU16: return Narrowed<uint16_t>(want, shape, contents, contents.uint_contents(), storage);
    case DataType::kF16:
    case DataType::kBF16: break;
  }
  return BadInput(want.name, absl::StrCat("datatype ", std::string(KServeName(want.dtype)),
                                          " has no typed contents; send raw_input_contents"));
}

absl::StatusOr<const void*> RawContents(const WireTensor& want, const Shape& shape, const std::string& bytes) {
  const uint64_t expected = static_cast<uint64_t>(NumElements(shape)) * SizeOf(want.dtype);
  PRECIS_RETURN_IF_ERROR(CheckLength(want, shape, bytes.size(), expected, "raw bytes"));
  if (want.dtype == DataType::kBool) PRECIS_RETURN_IF_ERROR(CheckBools(want, bytes));
  return bytes.data();
}

// Position of the input that the model calls `name`; -1 when the request has none.
absl::StatusOr<int> FindInput(const inference::ModelInferRequest& request, const std::string& name) {
  int found = -1;
  for (int i = 0; i < request.inputs_size(); ++i) {
    if (request.inputs(i).name() != name) continue;
    if (found >= 0) return BadInput(name, "given twice");
    found = i;
  }
  if (found < 0) return BadInput(name, "missing");
  return found;
}

absl::Status CheckInputNames(const inference::ModelInferRequest& request, const Signature& signature) {
  for (const InputTensor& input : request.inputs()) {
    const auto known = [&](const WireTensor& t) { return t.name == input.name(); };
    if (std::none_of(signature.inputs.begin(), signature.inputs.end(), known)) {
      return BadInput(input.name(), "the model has no such input");
    }
  }
  if (request.raw_input_contents_size() > 0 && request.raw_input_contents_size() != request.inputs_size()) {
    return absl::InvalidArgumentError(absl::StrCat(request.raw_input_contents_size(),
                                                   " raw_input_contents, want one for "
                                                   "each of the ",
                                                   request.inputs_size(), " inputs"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DecodedInputs> DecodeInputs(const inference::ModelInferRequest& request, const Signature& signature) {
  PRECIS_RETURN_IF_ERROR(CheckInputNames(request, signature));
  const bool raw = request.raw_input_contents_size() > 0;
  DecodedInputs decoded;
  decoded.narrowed.reserve(signature.inputs.size());
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    const WireTensor& want = signature.inputs[i];
    PRECIS_ASSIGN_OR_RETURN(const int position, FindInput(request, want.name));
    const InputTensor& input = request.inputs(position);
    if (input.datatype() != std::string(KServeName(want.dtype))) {
      return BadInput(want.name, absl::StrCat("datatype ", Quoted(input.datatype()), ", want ",
                                              std::string(KServeName(want.dtype))));
    }
    PRECIS_ASSIGN_OR_RETURN(Shape shape, CheckShape(input, want, signature.max_batch_size));
    if (signature.max_batch_size > 0) {
      if (i > 0 && shape[0] != decoded.batch_size) {
        return BadInput(want.name, absl::StrCat("batch of ", shape[0], ", another input has ", decoded.batch_size));
      }
      decoded.batch_size = shape[0];
    }
    if (raw && input.has_contents()) return BadInput(want.name, "contents beside raw_input_contents");
    auto data = raw ? RawContents(want, shape, request.raw_input_contents(position))
                    : TypedContents(want, shape, input.contents(), &decoded.narrowed);
    if (!data.ok()) return data.status();
    decoded.views.push_back({want.dtype, Reshaped(want.shape, want.engine_shape, std::move(shape)), *data});
  }
  return decoded;
}

absl::StatusOr<std::vector<size_t>> RequestedOutputs(const inference::ModelInferRequest& request,
                                                     const Signature& signature) {
  std::vector<size_t> wanted;
  if (request.outputs_size() == 0) {
    for (size_t i = 0; i < signature.outputs.size(); ++i) wanted.push_back(i);
    return wanted;
  }
  for (const auto& output : request.outputs()) {
    const auto bad = [&](absl::string_view what) { return absl::StrCat("output ", Quoted(output.name()), ": ", what); };
    if (output.parameters().contains("classification")) return absl::UnimplementedError(bad("classification"));
    const auto it = std::find_if(signature.outputs.begin(), signature.outputs.end(),
                                 [&](const WireTensor& t) { return t.name == output.name(); });
    if (it == signature.outputs.end()) return absl::InvalidArgumentError(bad("the model has no such output"));
    const auto index = static_cast<size_t>(it - signature.outputs.begin());
    if (std::find(wanted.begin(), wanted.end(), index) != wanted.end()) {
      return absl::InvalidArgumentError(bad("asked for twice"));
    }
    wanted.push_back(index);
  }
  return wanted;
}

void DescribeOutputs(const std::vector<Tensor>& outputs, const std::vector<size_t>& wanted, const Signature& signature,
                     inference::ModelInferResponse* response) {
  for (size_t index : wanted) {
    const Tensor& tensor = outputs[index];
    const WireTensor& wire = signature.outputs[index];
    auto* output = response->add_outputs();
    output->set_name(wire.name);
    output->set_datatype(std::string(KServeName(tensor.dtype())));
    for (int64_t dim : Reshaped(wire.engine_shape, wire.shape, tensor.shape())) output->add_shape(dim);
  }
}

}  // namespace precis::server
