#ifndef PRECIS_ENGINE_ONNX_ATTRIBUTES_H_
#define PRECIS_ENGINE_ONNX_ATTRIBUTES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "engine/ir/op.h"
#include "onnx/onnx_pb.h"

namespace precis::onnx_import {

// Typed reading of a node's attributes. The first attribute of the wrong type is remembered in status(); readers then go on with
// defaults, so that import functions read straight through and their caller checks once. Borrows the node.
class Attributes {
 public:
  explicit Attributes(const onnx::NodeProto& node) : node_(node) {}

  bool Has(absl::string_view name) const { return Find(name) != nullptr; }
  int64_t Int(absl::string_view name, int64_t fallback);
  bool Bool(absl::string_view name, bool fallback) { return Int(name, fallback ? 1 : 0) != 0; }
  float Float(absl::string_view name, float fallback);
  std::string String(absl::string_view name, absl::string_view fallback);
  ir::Ints Ints(absl::string_view name);
  std::vector<float> Floats(absl::string_view name);
  std::vector<std::string> Strings(absl::string_view name);
  const onnx::TensorProto* Tensor(absl::string_view name);  // null when absent
  const onnx::GraphProto* Graph(absl::string_view name);    // null when absent

  const absl::Status& status() const { return status_; }

 private:
  const onnx::AttributeProto* Find(absl::string_view name) const;
  // The attribute when it is there and of that type.
  const onnx::AttributeProto* Typed(absl::string_view name, onnx::AttributeProto::AttributeType type);

  const onnx::NodeProto& node_;
  absl::Status status_;
};

}  // namespace precis::onnx_import

#endif  // PRECIS_ENGINE_ONNX_ATTRIBUTES_H_
