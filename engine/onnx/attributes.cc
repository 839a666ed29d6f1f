// Nodes have few attributes: a linear search is the fastest index.
#include "engine/onnx/attributes.h"

#include "absl/strings/str_cat.h"
#include "engine/onnx/quoting.h"

namespace precis::onnx_import {

using onnx::AttributeProto;

const AttributeProto* Attributes::Find(absl::string_view name) const {
  for (const AttributeProto& attribute : node_.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

const AttributeProto* Attributes::Typed(absl::string_view name, AttributeProto::AttributeType type) {
  const AttributeProto* attribute = Find(name);
  if (attribute == nullptr || attribute->type() == type) return attribute;
  if (status_.ok()) {
    status_ = absl::InvalidArgumentError(absl::StrCat("attribute ", Quoted(name), " is of type ",
                                                      AttributeProto::AttributeType_Name(attribute->type()), ", want ",
                                                      AttributeProto::AttributeType_Name(type)));
  }
  return nullptr;
}

int64_t Attributes::Int(absl::string_view name, int64_t fallback) {
  const AttributeProto* attribute = Typed(name, AttributeProto::INT);
  return attribute == nullptr ? fallback : attribute->i();
}

float Attributes::Float(absl::string_view name, float fallback) {
  const AttributeProto* attribute = Typed(name, AttributeProto::FLOAT);
  return attribute == nullptr ? fallback : attribute->f();
}

std::string Attributes::String(absl::string_view name, absl::string_view fallback) {
  const AttributeProto* attribute = Typed(name, AttributeProto::STRING);
  return attribute == nullptr ? std::string(fallback) : attribute->s();
}

ir::Ints Attributes::Ints(absl::string_view name) {
  const AttributeProto* attribute = Typed(name, AttributeProto::INTS);
  return attribute == nullptr ? ir::Ints{} : ir::Ints(attribute->ints().begin(), attribute->ints().end());
}

std::vector<float> Attributes::Floats(absl::string_view name) {
  const AttributeProto* attribute = Typed(name, AttributeProto::FLOATS);
  return attribute == nullptr ? std::vector<float>{}
                              : std::vector<float>(attribute->floats().begin(), attribute->floats().end());
}

std::vector<std::string> Attributes::Strings(absl::string_view name) {
  const AttributeProto* attribute = Typed(name, AttributeProto::STRINGS);
  return attribute == nullptr ? std::vector<std::string>{}
                              : std::vector<std::string>(attribute->strings().begin(), attribute->strings().end());
}

const onnx::TensorProto* Attributes::Tensor(absl::string_view name) {
  const AttributeProto* attribute = Typed(name, AttributeProto::TENSOR);
  return attribute == nullptr ? nullptr : &attribute->t();
}

const onnx::GraphProto* Attributes::Graph(absl::string_view name) {
  const AttributeProto* attribute = Typed(name, AttributeProto::GRAPH);
  return attribute == nullptr ? nullptr : &attribute->g();
}

}  // namespace precis::onnx_import
