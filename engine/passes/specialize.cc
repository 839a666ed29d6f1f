// From the imported graph to one for concrete shapes: a single walk in topological order that types each node, folds it when all it reads is
// constant, and gives synonyms (Flatten, Squeeze, Clip…) one spelling. Shape arithmetic disappears here: a Shape node's result is
// known as soon as its input is typed. At the end, float types that nothing computes in become f32.
#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/ir/graph.h"
#include "engine/ir/infer.h"
#include "engine/kernels/kernel.h"
#include "engine/passes/pipeline.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::kNoNode;
using ir::kNoValue;
using ir::NodeId;
using ir::ValueId;

// A folded result may exceed what it was made from by this much; beyond, computing it per run is cheaper than keeping it.
constexpr int64_t kMaxFoldGrowthBytes = int64_t{256} << 20;

template <typename... Ops>
bool IsOneOf(const ir::Op& op) {
  return (std::holds_alternative<Ops>(op) || ...);
}

int64_t SizeBytes(const Graph& graph, ValueId v) {
  return NumElements(graph.value(v).shape) * static_cast<int64_t>(SizeOf(graph.value(v).dtype));
}

absl::Status CheckInput(const ir::Value& declared, const Shape& shape) {
  const auto fail = [&] {
    return absl::InvalidArgumentError(absl::StrCat("input \"", declared.name, "\": shape ", ShapeToString(shape),
                                                   ", want ", ShapeToString(declared.shape)));
  };
  if (declared.shape.size() != shape.size()) return fail();
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0 || (declared.shape[i] != kUnknownDim && declared.shape[i] != shape[i])) return fail();
  }
  if (CheckedNumElements(shape, ir::kMaxTensorBytes / static_cast<int64_t>(SizeOf(declared.dtype))) < 0) {
    return absl::InvalidArgumentError(absl::StrCat("input \"", declared.name, "\": shape ", ShapeToString(shape),
                                                   " exceeds ", ir::kMaxTensorBytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status SetInputShapes(Graph& graph, const std::vector<Shape>& shapes) {
  if (shapes.size() != graph.inputs.size()) {
    return absl::InvalidArgumentError(absl::StrCat(shapes.size(), " input shapes, want ", graph.inputs.size()));
  }
  absl::flat_hash_map<std::string, std::pair<int64_t, std::string>> symbols;  // name -> size, input that set it
  for (size_t i = 0; i < shapes.size(); ++i) {
    const ir::Port& port = graph.inputs[i];
    ir::Value& value = graph.value(port.value);
    PRECIS_RETURN_IF_ERROR(CheckInput(value, shapes[i]));
    for (size_t d = 0; d < std::min(shapes[i].size(), port.dim_names.size()); ++d) {
      if (port.dim_names[d].empty()) continue;
      const auto [known, fresh] = symbols.try_emplace(port.dim_names[d], shapes[i][d], value.name);
      if (!fresh && known->second.first != shapes[i][d]) {
        return absl::InvalidArgumentError(absl::StrCat("input \"", value.name, "\": dimension \"", port.dim_names[d],
                                                       "\" is ", shapes[i][d], ", but ", known->second.first,
                                                       " in input \"", known->second.second, "\""));
      }
    }
    value.typed = true;
    value.shape = shapes[i];
  }
  return absl::OkStatus();
}

ValueId AddShapeConstant(Graph& graph, const std::string& node_name, const Shape& shape) {
  return graph.AddConstant(absl::StrCat(node_name, "/shape"),
                           Tensor::From<int64_t>({static_cast<int64_t>(shape.size())}, shape));
}

// Clip with known bounds: of floats a Unary, of other types Max and Min, whose bounds stay exact.
void SpellClip(Graph& graph, NodeId id) {
  const ValueId x = graph.Input(id, 0), y = graph.node(id).outputs[0];
  const ValueId bounds[] = {graph.Input(id, 1), graph.Input(id, 2)};
  for (ValueId bound : bounds) {
    if (bound != kNoValue && !graph.IsConstant(bound)) return;
  }
  const DataType dtype = graph.value(x).dtype;
  if (IsFloat(dtype) && dtype != DataType::kF64) {
    const auto number = [&](ValueId v, float otherwise) {
      return v == kNoValue ? otherwise : ToFloat(graph.ConstantOrNull(v)->view())[0];
    };
    graph.node(id).op = ir::Unary{ir::UnaryKind::kClip, number(bounds[0], std::numeric_limits<float>::lowest()),
                                  number(bounds[1], std::numeric_limits<float>::max())};
    graph.SetInputs(id, {x});
    return;
  }
  const auto scalar = [&](ValueId v) {
    Tensor number = graph.ConstantOrNull(v)->Clone();
    number.Reshape({});
    return graph.AddConstant(graph.value(v).name, std::move(number));
  };
  ValueId last = x;
  if (bounds[0] != kNoValue && bounds[1] != kNoValue) {
    last = graph.AddValue(absl::StrCat(graph.value(y).name, "/raised"), dtype, graph.value(x).shape);
    graph.AddNode(absl::StrCat(graph.node(id).name, "/max"), ir::Binary{ir::BinaryKind::kMax}, {x, scalar(bounds[0])},
                  {last});
  }
  const ValueId bound = bounds[1] != kNoValue ? bounds[1] : bounds[0];
  if (bound == kNoValue) {
    graph.node(id).op = ir::Identity{};
    graph.SetInputs(id, {x});
  } else {
    graph.node(id).op = ir::Binary{bounds[1] != kNoValue ? ir::BinaryKind::kMin : ir::BinaryKind::kMax};
    graph.SetInputs(id, {last, scalar(bound)});
  }
}

// One spelling per meaning.
void Spell(Graph& graph, NodeId id) {
  if (IsOneOf<ir::Reshape, ir::Flatten, ir::Squeeze, ir::Unsqueeze>(graph.node(id).op)) {
    graph.node(id).op = ir::Reshape{.allow_zero = true};
    const Shape shape = graph.value(graph.node(id).outputs[0]).shape;
    graph.SetInputs(id, {graph.Input(id, 0), AddShapeConstant(graph, graph.node(id).name, shape)});
  } else if (std::holds_alternative<ir::Clip>(graph.node(id).op)) {
    SpellClip(graph, id);
  } else if (std::holds_alternative<ir::Choose>(graph.node(id).op)) {
    graph.node(id).op = ir::Where{};  // of two results that are both computed
  }
}

bool CanFold(const Graph& graph, NodeId id) {
  const ir::Node& node = graph.node(id);
  if (IsOneOf<ir::Dequantize>(node.op)) return false;  // its integers are what a quantized network computes with
  const bool reads_shapes_alone = IsOneOf<ir::ShapeOf, ir::SizeOf, ir::EyeLike>(node.op);
  int64_t read = 0, made = 0;
  for (ValueId v : node.inputs) {
    if (v == kNoValue) continue;
    if (!graph.IsConstant(v) && !reads_shapes_alone) return false;
    read += SizeBytes(graph, v);
  }
  for (ValueId v : node.outputs) made += v == kNoValue ? 0 : SizeBytes(graph, v);
  return made <= read + kMaxFoldGrowthBytes;
}

// Frees a constant that nothing reads any more: weights are large, and a folded one would be held twice.
void DropIfUnused(Graph& graph, ValueId v) {
  if (v != kNoValue && graph.consumers(v).empty() && !graph.IsGraphOutput(v)) graph.value(v).constant = nullptr;
}

absl::Status Fold(Graph& graph, NodeId id) {
  auto results = kernels::Evaluate(graph, id);
  if (absl::IsUnimplemented(results.status())) return absl::OkStatus();  // the plan may still have a primitive for it
  if (!results.ok()) return results.status();
  const std::vector<ValueId> inputs = graph.node(id).inputs, outputs = graph.node(id).outputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] != kNoValue) graph.MakeConstant(outputs[i], std::move((*results)[i]));
  }
  graph.RemoveNode(id);
  for (ValueId v : inputs) DropIfUnused(graph, v);
  return absl::OkStatus();
}

// --- Float types other than f32 ---

// Node inputs, but not graph outputs, that read `from` read `to` instead; a Cast takes any type and stays.
void MoveReaders(Graph& graph, ValueId from, ValueId to) {
  const std::vector<NodeId> readers = graph.consumers(from);
  for (NodeId reader : readers) {
    if (IsOneOf<ir::Cast>(graph.node(reader).op)) continue;
    for (size_t slot = 0; slot < graph.node(reader).inputs.size(); ++slot) {
      if (graph.node(reader).inputs[slot] == from) graph.SetInput(reader, slot, to);
    }
  }
}

Tensor ToF32(const Tensor& tensor) {
  const std::vector<float> numbers = ToFloat(tensor.view());
  Tensor wide(DataType::kF32, tensor.shape());
  std::copy(numbers.begin(), numbers.end(), wide.As<float>().begin());
  return wide;
}

// Makes `v` f32. Graph inputs and outputs keep their type, with a Cast on the inside.
void WidenValue(Graph& graph, ValueId v) {
  const DataType dtype = graph.value(v).dtype;
  const bool input = graph.IsGraphInput(v), output = graph.IsGraphOutput(v);
  const std::shared_ptr<const Tensor> constant = graph.value(v).constant;
  if (!input && !output) {
    if (constant != nullptr) graph.value(v).constant = std::make_shared<const Tensor>(ToF32(*constant));
    graph.value(v).dtype = DataType::kF32;
    return;
  }
  const NodeId producer = graph.producer(v);
  const auto& readers = graph.consumers(v);
  const bool read =
      std::any_of(readers.begin(), readers.end(), [&](NodeId id) { return !IsOneOf<ir::Cast>(graph.node(id).op); });
  const bool made = producer != kNoNode && !IsOneOf<ir::Cast>(graph.node(producer).op);
  if (!read && !made) return;  // Casts are all that touches it
  const std::string name = absl::StrCat(graph.value(v).name, "/f32");
  if (constant != nullptr) {
    MoveReaders(graph, v, graph.AddConstant(name, ToF32(*constant)));
    return;
  }
  const ValueId wide = graph.AddValue(name, DataType::kF32, graph.value(v).shape);
  MoveReaders(graph, v, wide);
  if (!made) {
    graph.AddNode(absl::StrCat(name, "/cast"), ir::Cast{DataType::kF32}, {v}, {wide});
    return;
  }
  const auto& outputs = graph.node(producer).outputs;
  graph.SetOutput(producer, static_cast<size_t>(std::find(outputs.begin(), outputs.end(), v) - outputs.begin()), wide);
  graph.AddNode(absl::StrCat(graph.value(v).name, "/cast"), ir::Cast{dtype}, {wide}, {v});
}

// Attributes that name a type follow the value that they describe.
void FollowOutputType(Graph& graph, NodeId id) {
  ir::Op& op = graph.node(id).op;
  const ValueId output = graph.node(id).outputs.empty() ? kNoValue : graph.node(id).outputs[0];
  if (output == kNoValue) return;
  const DataType dtype = graph.value(output).dtype;
  if (auto* cast = std::get_if<ir::Cast>(&op)) cast->to = dtype;
  if (auto* eye = std::get_if<ir::EyeLike>(&op)) eye->dtype = dtype;
  if (auto* fill = std::get_if<ir::ConstantOfShape>(&op); fill != nullptr && fill->dtype != dtype) {
    const float value = ToFloat({fill->dtype, {}, fill->value.data()})[0];
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    *fill = {std::vector<std::byte>(bytes, bytes + sizeof(value)), dtype};
  }
}

// All arithmetic on 16-bit floats is done in f32 (a variant's precision is quantization's business, not the file's). f64 is kept where only
// plain kernels see it, and becomes f32 too in a graph that has convolutions or matrix products of it.
void WidenFloats(Graph& graph) {
  bool heavy_f64 = false;
  for (NodeId id = 0; id < graph.num_node_slots(); ++id) {
    if (!graph.alive(id) || !IsOneOf<ir::Conv, ir::ConvTranspose, ir::MatMul, ir::Recurrent>(graph.node(id).op))
      continue;
    heavy_f64 |= graph.value(graph.Input(id, 0)).dtype == DataType::kF64;
  }
  const auto widened = [heavy_f64](DataType t) {
    return t == DataType::kF16 || t == DataType::kBF16 || (t == DataType::kF64 && heavy_f64);
  };
  const int num_values = graph.num_values(), num_nodes = graph.num_node_slots();
  for (ValueId v = 0; v < num_values; ++v) {
    const bool used = graph.producer(v) != kNoNode || graph.IsConstant(v) || graph.IsGraphInput(v);
    if (used && graph.value(v).typed && widened(graph.value(v).dtype)) WidenValue(graph, v);
  }
  for (NodeId id = 0; id < num_nodes; ++id) {
    if (graph.alive(id)) FollowOutputType(graph, id);
  }
}

// --- If ---

// Types, folds and spells nodes; each once.
class Walk {
 public:
  explicit Walk(Graph& graph) : graph_(graph), done_(static_cast<size_t>(graph.num_node_slots())) {}

  absl::Status Run() {
    PRECIS_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph_.TopologicalOrder());
    for (NodeId id : order) {
      if (graph_.alive(id) && IsOneOf<ir::Choose>(graph_.node(id).op)) PRECIS_RETURN_IF_ERROR(TakeSide(id, order));
    }
    for (NodeId id : order) PRECIS_RETURN_IF_ERROR(Visit(id));
    return absl::OkStatus();
  }

 private:
  absl::Status Visit(NodeId id) {
    if (!graph_.alive(id) || done_[static_cast<size_t>(id)]) return absl::OkStatus();
    done_[static_cast<size_t>(id)] = true;
    PRECIS_RETURN_IF_ERROR(ir::InferNode(graph_, id));
    if (CanFold(graph_, id)) PRECIS_RETURN_IF_ERROR(Fold(graph_, id));
    if (graph_.alive(id)) Spell(graph_, id);
    return absl::OkStatus();
  }

  // Where the condition of `id` is known the other branch goes, unseen: its shapes may fit nothing (the squeeze of a dimension that is not one).
  // Choices come in topological order, so that those which the condition itself hangs on are made.
  absl::Status TakeSide(NodeId id, const std::vector<NodeId>& order) {
    std::vector<bool> above(done_.size());
    std::vector<ValueId> open = {graph_.Input(id, 0)};
    while (!open.empty()) {
      const NodeId producer = graph_.producer(open.back());
      open.pop_back();
      if (producer == kNoNode || static_cast<size_t>(producer) >= above.size() || above[static_cast<size_t>(producer)])
        continue;
      above[static_cast<size_t>(producer)] = true;
      for (ValueId v : graph_.node(producer).inputs) {
        if (v != kNoValue) open.push_back(v);
      }
    }
    for (NodeId other : order) {
      if (above[static_cast<size_t>(other)]) PRECIS_RETURN_IF_ERROR(Visit(other));
    }
    const Tensor* condition = graph_.ConstantOrNull(graph_.Input(id, 0));
    if (condition == nullptr || condition->num_elements() != 1) return absl::OkStatus();
    const ValueId taken = graph_.Input(id, ToInt64(condition->view())[0] != 0 ? 1 : 2);
    graph_.node(id).op = ir::Identity{};
    graph_.SetInputs(id, {taken});
    graph_.RemoveDeadNodes();
    return absl::OkStatus();
  }

  Graph& graph_;
  std::vector<bool> done_;  // per node
};

}  // namespace

absl::Status Specialize(Graph& graph, const std::vector<Shape>& input_shapes) {
  PRECIS_RETURN_IF_ERROR(SetInputShapes(graph, input_shapes));
  graph.RemoveDeadNodes();
  PRECIS_RETURN_IF_ERROR(Walk(graph).Run());
  graph.RemoveDeadNodes();
  for (ValueId v = 0; v < graph.num_values(); ++v) DropIfUnused(graph, v);
  WidenFloats(graph);
  return graph.Verify();
}

}  // namespace precis::passes
