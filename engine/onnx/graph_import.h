#ifndef PRECIS_ENGINE_ONNX_GRAPH_IMPORT_H_
#define PRECIS_ENGINE_ONNX_GRAPH_IMPORT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "engine/ir/graph.h"
#include "engine/onnx/importer.h"
#include "engine/onnx/node_import.h"
#include "engine/onnx/node_order.h"
#include "engine/onnx/tensor_reader.h"
#include "onnx/onnx_pb.h"

namespace precis::onnx_import {

// Walks a parsed model into a graph: signature, constants, then nodes in order. Calls of functions (the model's own, and operators that
// ONNX defines by others) and branches of If are expanded in place, each in a scope of its own: the one that a constant condition takes, else
// both, with a Choose behind them. A Loop of constantly many passes is unrolled.
class GraphImport {
 public:
  GraphImport(ir::Graph& graph, const std::string& folder, const ImportLimits& limits);

  // Once. Weights move from `model` to the graph one by one, so that they are not held twice.
  absl::Status Run(onnx::ModelProto& model);

 private:
  // The names of one graph, function call or branch.
  struct Scope {
    const Scope* outer = nullptr;  // what a branch sees besides its own
    std::string prefix;            // of value and node names; "" in the main graph
    int depth = 0;
    absl::flat_hash_map<std::string, ir::ValueId> values;
    absl::flat_hash_map<std::string, ir::ValueId>
        results;                                   // values that exist already, for the names that will compute them
    absl::flat_hash_map<std::string, int> opsets;  // by domain
    absl::flat_hash_map<std::string, const onnx::AttributeProto*> arguments;  // attributes of the function call
  };

  absl::Status ReadOpsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports, Scope& scope);
  void ReadDeclaredTypes(const onnx::GraphProto& graph);
  absl::Status AddInput(const onnx::ValueInfoProto& input, Scope& scope);
  absl::Status AddOutput(const onnx::ValueInfoProto& output, const Scope& scope);
  absl::Status AddInitializer(const onnx::TensorProto& initializer, Scope& scope);
  absl::Status ImportNodes(const NodeList& nodes, Scope& scope);
  // InvalidArgument when the model has more than it may.
  absl::Status CountNodes(int64_t more);
  absl::Status ImportNode(const onnx::NodeProto& node, Scope& scope);
  absl::Status Translate(const onnx::NodeProto& node, const std::string& domain, std::vector<ir::ValueId> inputs,
                         std::vector<ir::ValueId> outputs, const Scope& scope);
  absl::Status ImportIf(const onnx::NodeProto& node, ir::ValueId condition, const std::vector<ir::ValueId>& outputs,
                        const Scope& scope);
  absl::Status ImportBothBranches(const onnx::NodeProto& node, ir::ValueId condition,
                                  const std::vector<ir::ValueId>& outputs, const Scope& scope);
  absl::Status ImportLoop(const onnx::NodeProto& node, const std::vector<ir::ValueId>& inputs,
                          const std::vector<ir::ValueId>& outputs, const Scope& scope);
  // Remembers a node for UnsupportedError; never fails.
  absl::Status NoteUnsupported(const onnx::NodeProto& node, const Scope& scope, absl::string_view why);
  absl::StatusOr<const onnx::GraphProto*> FindBranch(const onnx::NodeProto& node, absl::string_view name,
                                                     size_t outputs) const;
  absl::Status ImportBranch(const onnx::GraphProto& branch, Scope& inner);
  absl::Status CallFunction(const onnx::NodeProto& node, const onnx::FunctionProto& function,
                            const std::vector<ir::ValueId>& inputs, const std::vector<ir::ValueId>& outputs,
                            const Scope& scope);

  // A scope inside `scope`; InvalidArgument when that is too deep.
  absl::StatusOr<Scope> Enter(const onnx::NodeProto& node, const Scope& scope) const;
  // The same for a branch, which sees what `scope` has.
  absl::StatusOr<Scope> EnterBranch(const onnx::NodeProto& node, const Scope& scope) const;
  // What `name` is inside.
  absl::StatusOr<ir::ValueId> FindResult(const onnx::NodeProto& node, const std::string& name,
                                         const Scope& scope) const;
  // Makes `result` what `name` is inside, when its producer did not do so already.
  absl::Status BindResult(const onnx::NodeProto& node, const std::string& name, ir::ValueId result, const Scope& scope);
  absl::StatusOr<std::vector<ir::ValueId>> ResolveInputs(const onnx::NodeProto& node, const Scope& scope) const;
  absl::StatusOr<std::vector<ir::ValueId>> DeclareOutputs(const onnx::NodeProto& node, Scope& scope);
  absl::Status Declare(const std::string& name, ir::ValueId value, Scope& scope);
  bool IsComputed(ir::ValueId value) const;
  // Takes optional outputs that nothing reads off their nodes: without them primitives fit.
  void DropUnreadOutputs();
  // Everything noted as unsupported, in one error.
  absl::Status UnsupportedError();

  ir::Graph& graph_;
  ImportLimits limits_;
  std::string folder_;
  TensorReader tensors_;
  ImportContext context_;
  int ir_version_ = 0;
  int num_nodes_ = 0;
  absl::flat_hash_map<std::string, const onnx::FunctionProto*> functions_;  // by "domain:name:overload"
  absl::flat_hash_map<std::string, DataType> declared_types_;               // of the main graph's values
  std::vector<std::string> unsupported_;
  // Outputs that an import function did not compute, and how to complain: wanted only if something reads them.
  std::vector<std::pair<ir::ValueId, std::string>> left_out_;
};

}  // namespace precis::onnx_import

#endif  // PRECIS_ENGINE_ONNX_GRAPH_IMPORT_H_
