// Graph bookkeeping: producer and consumer indices are kept in step with every edit, so that passes can ask in O(1).
#include "engine/ir/graph.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace precis::ir {

std::vector<float> RealValues(const Tensor& levels, const QuantParams& quant) {
  std::vector<float> x = ToFloat(levels.view());
  const Shape& shape = levels.shape();
  const std::vector<int64_t> strides = RowMajorStrides(shape);
  const size_t axis = quant.per_tensor() ? 0 : static_cast<size_t>(quant.axis), other = axis == 0 ? 1 : 0;
  const auto index_of = [&](int64_t i) -> size_t {
    if (quant.per_tensor()) return 0;
    const int64_t channel = i / strides[axis] % shape[axis];
    const int64_t chunk = quant.chunk == 0 ? 0 : i / strides[other] % shape[other] / quant.chunk;
    return static_cast<size_t>(chunk * shape[axis] + channel);
  };
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t at = index_of(static_cast<int64_t>(i));
    const int32_t zero = quant.zero_points.empty() ? 0 : quant.zero_points[at];
    x[i] = quant.scales[at] * (x[i] - static_cast<float>(zero));
  }
  return x;
}

std::string Graph::UniqueName(std::string wanted) {
  if (wanted.empty()) wanted = "value";
  std::string candidate = wanted;
  while (!name_counts_.try_emplace(candidate, 1).second) candidate = absl::StrCat(wanted, "#", ++name_counts_[wanted]);
  return candidate;
}

ValueId Graph::AddValue(std::string value_name) {
  Value v;
  v.name = UniqueName(std::move(value_name));
  values_.push_back(std::move(v));
  producers_.push_back(kNoNode);
  consumers_.emplace_back();
  return num_values() - 1;
}

ValueId Graph::AddValue(std::string value_name, DataType dtype, Shape shape) {
  const ValueId id = AddValue(std::move(value_name));
  value(id).typed = true;
  value(id).dtype = dtype;
  value(id).shape = std::move(shape);
  return id;
}

ValueId Graph::AddConstant(std::string value_name, Tensor tensor) {
  const ValueId id = AddValue(std::move(value_name), tensor.dtype(), tensor.shape());
  value(id).constant = std::make_shared<const Tensor>(std::move(tensor));
  return id;
}

NodeId Graph::AddNode(std::string node_name, Op op, std::vector<ValueId> node_inputs,
                      std::vector<ValueId> node_outputs) {
  const NodeId id = num_node_slots();
  if (node_name.empty()) {
    const auto first = std::find_if(node_outputs.begin(), node_outputs.end(), [](ValueId v) { return v != kNoValue; });
    node_name = absl::StrCat(OpName(op), ":", first == node_outputs.end() ? absl::StrCat(id) : value(*first).name);
  }
  Node node;
  node.name = std::move(node_name);
  node.op = std::move(op);
  node.inputs = std::move(node_inputs);
  node.outputs = std::move(node_outputs);
  nodes_.push_back(std::move(node));
  alive_.push_back(true);
  for (ValueId v : nodes_.back().inputs) AddUse(v, id);
  for (ValueId v : nodes_.back().outputs) {
    if (v != kNoValue) producers_[static_cast<size_t>(v)] = id;
  }
  return id;
}

void Graph::RemoveNode(NodeId id) {
  for (ValueId v : node(id).inputs) DropUse(v, id);
  for (ValueId v : node(id).outputs) {
    if (v != kNoValue && producer(v) == id) producers_[static_cast<size_t>(v)] = kNoNode;
  }
  alive_[static_cast<size_t>(id)] = false;
}

void Graph::AddUse(ValueId value, NodeId node) {
  if (value != kNoValue) consumers_[static_cast<size_t>(value)].push_back(node);
}

void Graph::DropUse(ValueId value, NodeId node) {
  if (value == kNoValue) return;
  auto& uses = consumers_[static_cast<size_t>(value)];
  if (const auto it = std::find(uses.begin(), uses.end(), node); it != uses.end()) uses.erase(it);
}

bool Graph::IsGraphOutput(ValueId id) const {
  return std::any_of(outputs.begin(), outputs.end(), [id](const Port& p) { return p.value == id; });
}

bool Graph::IsGraphInput(ValueId id) const {
  return std::any_of(inputs.begin(), inputs.end(), [id](const Port& p) { return p.value == id; });
}

bool Graph::HasSingleUse(ValueId id) const { return consumers(id).size() == 1 && !IsGraphOutput(id); }

ValueId Graph::Input(NodeId id, size_t i) const { return i < node(id).inputs.size() ? node(id).inputs[i] : kNoValue; }

void Graph::SetInput(NodeId id, size_t slot, ValueId value) {
  auto& slots = nodes_[static_cast<size_t>(id)].inputs;
  if (slot >= slots.size()) slots.resize(slot + 1, kNoValue);
  DropUse(slots[slot], id);
  slots[slot] = value;
  AddUse(value, id);
}

int Graph::AppendInput(NodeId id, ValueId value) {
  const size_t slot = node(id).inputs.size();
  SetInput(id, slot, value);
  return static_cast<int>(slot);
}

void Graph::SetInputs(NodeId id, std::vector<ValueId> node_inputs) {
  for (ValueId v : node(id).inputs) DropUse(v, id);
  nodes_[static_cast<size_t>(id)].inputs = std::move(node_inputs);
  for (ValueId v : node(id).inputs) AddUse(v, id);
}

void Graph::SetOutput(NodeId id, size_t slot, ValueId value) {
  auto& slots = nodes_[static_cast<size_t>(id)].outputs;
  if (slot >= slots.size()) slots.resize(slot + 1, kNoValue);
  if (slots[slot] != kNoValue && producer(slots[slot]) == id) producers_[static_cast<size_t>(slots[slot])] = kNoNode;
  slots[slot] = value;
  if (value != kNoValue) producers_[static_cast<size_t>(value)] = id;
}

void Graph::ReplaceUses(ValueId from, ValueId to) {
  const std::vector<NodeId> readers = consumers(from);
  for (NodeId reader : readers) {
    for (size_t slot = 0; slot < node(reader).inputs.size(); ++slot) {
      if (node(reader).inputs[slot] == from) SetInput(reader, slot, to);
    }
  }
  for (Port& port : outputs) {
    if (port.value == from) port.value = to;
  }
}

void Graph::MakeConstant(ValueId id, Tensor tensor) {
  if (const NodeId p = producer(id); p != kNoNode) {
    for (ValueId& v : nodes_[static_cast<size_t>(p)].outputs) {
      if (v == id) v = kNoValue;
    }
    producers_[static_cast<size_t>(id)] = kNoNode;
  }
  Value& v = value(id);
  v.typed = true;
  v.dtype = tensor.dtype();
  v.shape = tensor.shape();
  v.constant = std::make_shared<const Tensor>(std::move(tensor));
}

absl::StatusOr<std::vector<NodeId>> Graph::TopologicalOrder() const {
  std::vector<int> missing(nodes_.size(), 0);
  std::priority_queue<NodeId, std::vector<NodeId>, std::greater<>> ready;
  size_t total = 0;
  for (NodeId id = 0; id < num_node_slots(); ++id) {
    if (!alive(id)) continue;
    ++total;
    for (ValueId v : node(id).inputs) {
      if (v != kNoValue && producer(v) != kNoNode) ++missing[static_cast<size_t>(id)];
    }
    if (missing[static_cast<size_t>(id)] == 0) ready.push(id);
  }
  std::vector<NodeId> order;
  order.reserve(total);
  while (!ready.empty()) {
    const NodeId id = ready.top();
    ready.pop();
    order.push_back(id);
    for (ValueId v : node(id).outputs) {
      if (v == kNoValue) continue;
      for (NodeId reader : consumers(v)) {
        if (--missing[static_cast<size_t>(reader)] == 0) ready.push(reader);
      }
    }
  }
  if (order.size() == total) return order;
  for (NodeId id = 0; id < num_node_slots(); ++id) {
    if (alive(id) && missing[static_cast<size_t>(id)] > 0) {
      return absl::InvalidArgumentError(absl::StrCat("node \"", node(id).name, "\": part of, or fed by, a cycle"));
    }
  }
  return absl::InternalError("topological order: lost a node");
}

int Graph::RemoveDeadNodes() {
  int removed = 0;
  std::vector<NodeId> work;
  for (NodeId id = 0; id < num_node_slots(); ++id) {
    if (alive(id)) work.push_back(id);
  }
  while (!work.empty()) {
    const NodeId id = work.back();
    work.pop_back();
    if (!alive(id)) continue;
    const bool used = std::any_of(node(id).outputs.begin(), node(id).outputs.end(), [this](ValueId v) {
      return v != kNoValue && (!consumers(v).empty() || IsGraphOutput(v));
    });
    if (used) continue;
    for (ValueId v : node(id).inputs) {
      if (v != kNoValue && producer(v) != kNoNode) work.push_back(producer(v));
    }
    RemoveNode(id);
    ++removed;
  }
  return removed;
}

absl::Status Graph::Verify() const {
  for (NodeId id = 0; id < num_node_slots(); ++id) {
    if (!alive(id)) continue;
    const Node& n = node(id);
    for (ValueId v : n.inputs) {
      if (v == kNoValue) continue;
      if (v < 0 || v >= num_values())
        return absl::InternalError(absl::StrCat("node \"", n.name, "\": input ", v, " does not exist"));
      if (producer(v) == kNoNode && !IsConstant(v) && !IsGraphInput(v)) {
        return absl::InternalError(
            absl::StrCat("node \"", n.name, "\": nothing computes its input \"", value(v).name, "\""));
      }
      if (std::count(consumers(v).begin(), consumers(v).end(), id) != std::count(n.inputs.begin(), n.inputs.end(), v)) {
        return absl::InternalError(
            absl::StrCat("value \"", value(v).name, "\": consumer list out of step with node \"", n.name, "\""));
      }
    }
    for (ValueId v : n.outputs) {
      if (v != kNoValue && producer(v) != id) {
        return absl::InternalError(
            absl::StrCat("value \"", value(v).name, "\": producer is not node \"", n.name, "\""));
      }
    }
    for (const PostOp& p : n.post_ops) {
      if (p.kind == PostOp::Kind::kBinary && (p.input < 0 || Input(id, static_cast<size_t>(p.input)) == kNoValue)) {
        return absl::InternalError(
            absl::StrCat("node \"", n.name, "\": post-op ", OpName(p.binary), " names no input"));
      }
    }
  }
  for (const Port& port : outputs) {
    if (port.value == kNoValue ||
        (producer(port.value) == kNoNode && !IsConstant(port.value) && !IsGraphInput(port.value))) {
      return absl::InternalError("a graph output is computed by nothing");
    }
  }
  return TopologicalOrder().status();
}

std::string Graph::ToString() const {
  const auto describe = [this](ValueId v) -> std::string {
    if (v == kNoValue) return "-";
    const Value& x = value(v);
    return x.typed ? absl::StrCat(x.name, ":", Name(x.dtype), ShapeToString(x.shape)) : x.name;
  };
  const auto list = [&](const std::vector<ValueId>& ids) {
    return absl::StrJoin(ids, ", ", [&](std::string* out, ValueId v) { absl::StrAppend(out, describe(v)); });
  };
  std::string text;
  const auto order = TopologicalOrder();
  if (!order.ok()) return std::string(order.status().message());
  for (NodeId id : *order) {
    const Node& n = node(id);
    absl::StrAppend(&text, n.name, " = ", OpName(n.op), "(", list(n.inputs), ")");
    for (const PostOp& p : n.post_ops) {
      absl::StrAppend(&text, " +", p.kind == PostOp::Kind::kUnary ? OpName(p.unary.kind) : OpName(p.binary));
      if (p.kind == PostOp::Kind::kBinary) absl::StrAppend(&text, "[", p.input, "]");
    }
    absl::StrAppend(&text, " -> ", list(n.outputs), "\n");
  }
  return text;
}

}  // namespace precis::ir
