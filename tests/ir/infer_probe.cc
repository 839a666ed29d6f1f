#include "tests/ir/infer_probe.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace precis::ir {

Given Numbers(std::vector<int64_t> values) {
  Tensor tensor = Tensor::From<int64_t>({static_cast<int64_t>(values.size())}, values);
  return {true, DataType::kS64, tensor.shape(), std::make_shared<const Tensor>(std::move(tensor))};
}

Given Scalar(int64_t value) {
  return {true, DataType::kS64, {}, std::make_shared<const Tensor>(Tensor::From<int64_t>({}, {value}))};
}

Given Floats(std::vector<float> values) {
  Tensor tensor = Tensor::From<float>({static_cast<int64_t>(values.size())}, values);
  return {true, DataType::kF32, tensor.shape(), std::make_shared<const Tensor>(std::move(tensor))};
}

Probe::Probe(Op op, const std::vector<Given>& inputs, size_t outputs) {
  std::vector<ValueId> in, out;
  for (const Given& given : inputs) {
    in.push_back(given.present ? graph.AddValue("x", given.dtype, given.shape) : kNoValue);
    if (given.present) graph.value(in.back()).constant = given.constant;
  }
  for (size_t i = 0; i < outputs; ++i) out.push_back(graph.AddValue("y"));
  graph.AddNode("n", std::move(op), in, out);
  status = InferNode(graph, 0);
}

std::string Probe::Result() const {
  if (!status.ok()) {
    return absl::StrCat(absl::StatusCodeToString(status.code()), ": ",
                        absl::StripPrefix(status.message(), "node \"n\": "));
  }
  std::string text;
  for (ValueId v : graph.node(0).outputs) {
    absl::StrAppend(&text, text.empty() ? "" : " ", Name(graph.value(v).dtype), ShapeToString(graph.value(v).shape));
  }
  return text;
}

}  // namespace precis::ir
