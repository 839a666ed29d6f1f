#ifndef PRECIS_ENGINE_ONNX_NODE_IMPORT_H_
#define PRECIS_ENGINE_ONNX_NODE_IMPORT_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "engine/ir/graph.h"
#include "engine/onnx/attributes.h"
#include "engine/onnx/tensor_reader.h"
#include "onnx/onnx_pb.h"

namespace precis::onnx_import {

// What every node of one import shares.
struct ImportContext {
  ir::Graph& graph;
  TensorReader& tensors;
  absl::flat_hash_map<ir::ValueId, DataType>
      types;  // element types known without inference: inputs, constants, value_info
  absl::flat_hash_map<std::string, int> node_names;  // in use, and how often each was wanted
  absl::flat_hash_set<std::string> reserved_values;  // ONNX's value names of the main graph, kept free for their owners

  // `name`, or `name#2`… when it is taken; takes it.
  std::string UniqueNodeName(const std::string& name);
};

// One ONNX node on its way into the graph: what an import function reads from and writes to. Errors are remembered (the first
// one counts) and looked at by the caller, so that import functions need no error handling of their own.
class NodeImport {
 public:
  // `opset` is the version of the node's domain. `inputs` and `outputs` hold kNoValue where the node leaves one out.
  NodeImport(ImportContext& context, const onnx::NodeProto& proto, int opset, std::string name,
             std::vector<ir::ValueId> inputs, std::vector<ir::ValueId> outputs);

  const std::string& op_type() const { return proto_.op_type(); }
  int opset() const { return opset_; }
  Attributes& attributes() { return attributes_; }

  size_t num_inputs() const { return inputs_.size(); }
  size_t num_outputs() const { return outputs_.size(); }
  bool HasInput(size_t i) const { return i < inputs_.size() && inputs_[i] != ir::kNoValue; }
  bool WantsOutput(size_t i) const { return i < outputs_.size() && outputs_[i] != ir::kNoValue; }
  // Input i, which the operator cannot do without: absent is an error.
  ir::ValueId Input(size_t i);
  // Input i or kNoValue.
  ir::ValueId Optional(size_t i) const { return HasInput(i) ? inputs_[i] : ir::kNoValue; }
  std::vector<ir::ValueId> AllInputs() { return Inputs(inputs_.size()); }
  std::vector<ir::ValueId> Inputs(size_t count);  // the first `count`, all needed
  // The tensor behind an input where it is constant, else null.
  const precis::Tensor* ConstantInput(size_t i) const;
  // Element type of an input where the file tells.
  std::optional<DataType> InputType(size_t i) const;

  // Adds the node that computes output `i`; nothing when the ONNX node does not want it.
  void Emit(ir::Op op, std::vector<ir::ValueId> inputs, size_t i = 0);
  // Adds one node that computes all outputs.
  void EmitAll(ir::Op op, std::vector<ir::ValueId> inputs);
  // Adds an intermediate node of one output, named after this node and `suffix`.
  ir::ValueId Add(absl::string_view suffix, ir::Op op, std::vector<ir::ValueId> inputs);
  // The same with `count` outputs.
  std::vector<ir::ValueId> AddMany(absl::string_view suffix, ir::Op op, std::vector<ir::ValueId> inputs, size_t count);
  // Adds a constant.
  ir::ValueId Constant(absl::string_view suffix, precis::Tensor tensor);
  ir::ValueId Int64s(absl::string_view suffix, const ir::Ints& values);  // of rank 1
  ir::ValueId Int64(absl::string_view suffix, int64_t value);            // of rank 0
  // Output 0 is this tensor.
  void EmitConstant(precis::Tensor tensor);
  // Reads a TensorProto of this node; an empty tensor after an error.
  precis::Tensor Read(const onnx::TensorProto& proto);

  void Fail(absl::string_view what) { Fail(absl::InvalidArgumentError(what)); }
  void Fail(absl::Status status);
  // The text attribute has a value that ONNX does not know.
  void FailAttribute(absl::string_view name, const std::string& value);
  // The operator is known, this form of it is not.
  void Unsupported(absl::string_view what) { Fail(absl::UnimplementedError(what)); }
  // First error of attributes or of the import; the message does not name the node.
  absl::Status status() const { return status_.ok() ? attributes_.status() : status_; }

 private:
  std::string FreeValueName(absl::string_view suffix) const;

  ImportContext& context_;
  const onnx::NodeProto& proto_;
  Attributes attributes_;
  int opset_;
  std::string name_;
  std::vector<ir::ValueId> inputs_, outputs_;
  absl::Status status_;
};

}  // namespace precis::onnx_import

#endif  // PRECIS_ENGINE_ONNX_NODE_IMPORT_H_
