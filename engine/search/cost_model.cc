// Nets are the classes of a union over values; profiles are dealt out to layers and nets by name.
#include "engine/search/cost_model.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "engine/quant/operators.h"

namespace precis::search {

LatencyModel::LatencyModel(const ir::Graph& graph, const std::vector<ir::NodeId>& layers,
                           const std::vector<quant::Precision>& candidates, const std::vector<Profile>& uniform,
                           const Profile& f32)
    : candidates_(candidates) {
  JoinValues(graph);
  Attach(graph, layers);
  for (Layer& layer : layers_) layer.uniform_us.assign(uniform.size(), 0);
  for (Net& net : nets_) net.uniform_us.assign(uniform.size(), 0);
  bool is_convert = false;
  for (const auto& [name, us] : f32) {
    if (layer_of_name_.contains(name)) continue;
    const int net = NetOfEntry(name, &is_convert);
    (net < 0 ? other_us_ : nets_[static_cast<size_t>(net)].f32_us) += us;
  }
  for (size_t c = 0; c < uniform.size(); ++c) {
    for (const auto& [name, us] : uniform[c]) {
      if (const auto layer = layer_of_name_.find(name); layer != layer_of_name_.end()) {
        layers_[layer->second].uniform_us[c] = us;
      } else if (const int net = NetOfEntry(name, &is_convert); net >= 0) {
        nets_[static_cast<size_t>(net)].uniform_us[c] += us;
      }
    }
  }
  for (Layer& layer : layers_) layer.bordered_us = layer.uniform_us;
}

void LatencyModel::JoinValues(const ir::Graph& graph) {
  std::vector<int> parent(static_cast<size_t>(graph.num_values()));
  std::iota(parent.begin(), parent.end(), 0);
  const auto find = [&](int v) {
    while (parent[static_cast<size_t>(v)] != v)
      v = parent[static_cast<size_t>(v)] = parent[static_cast<size_t>(parent[static_cast<size_t>(v)])];
    return v;
  };
  for (ir::NodeId id = 0; id < graph.num_node_slots(); ++id) {
    if (!graph.alive(id)) continue;
    const quant::Role role = quant::RoleOf(graph, id).role;
    if (role != quant::Role::kMovement && role != quant::Role::kArithmetic) continue;
    const ir::Node& n = graph.node(id);
    for (ir::ValueId out : n.outputs) {
      for (size_t i = 0; out != ir::kNoValue && i < quant::NumDataInputs(graph, id); ++i)
        parent[static_cast<size_t>(find(out))] = find(n.inputs[i]);
    }
  }
  nets_of_.assign(parent.size(), -1);
  for (ir::ValueId v = 0; v < graph.num_values(); ++v) {
    if (graph.IsConstant(v)) continue;
    int& net = nets_of_[static_cast<size_t>(find(v))];
    if (net < 0) {
      net = static_cast<int>(nets_.size());
      nets_.emplace_back();
    }
    nets_of_[static_cast<size_t>(v)] = net;
    int64_t& elements = nets_[static_cast<size_t>(net)].elements;
    elements = std::max(elements, NumElements(graph.value(v).shape));
    net_of_value_[graph.value(v).name] = net;
  }
  for (ir::NodeId id = 0; id < graph.num_node_slots(); ++id) {
    if (!graph.alive(id) || graph.node(id).outputs.empty() || graph.node(id).outputs[0] == ir::kNoValue) continue;
    const ir::Node& n = graph.node(id);
    net_of_node_[n.name] = NetOf(n.outputs[0]);
    for (ir::ValueId v : n.inputs) {
      if (v != ir::kNoValue && NetOf(v) >= 0) net_of_input_.try_emplace(n.name, NetOf(v));
    }
  }
}

void LatencyModel::Attach(const ir::Graph& graph, const std::vector<ir::NodeId>& layers) {
  const auto add = [](auto& list, auto item) {
    if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
  };
  for (ir::ValueId v = 0; v < graph.num_values(); ++v) {
    if (NetOf(v) < 0) continue;
    const auto& readers = graph.consumers(v);
    const bool other = std::any_of(readers.begin(), readers.end(), [&](ir::NodeId id) {
      const ir::Node& n = graph.node(id);
      return !quant::IsLayer(n.op) &&
             (n.outputs.empty() || n.outputs[0] == ir::kNoValue || NetOf(n.outputs[0]) != NetOf(v));
    });
    if (other || graph.IsGraphOutput(v)) nets_[static_cast<size_t>(NetOf(v))].has_other_readers = true;
  }
  for (size_t l = 0; l < layers.size(); ++l) {
    const ir::Node& n = graph.node(layers[l]);
    layer_of_name_[n.name] = l;
    Layer& layer = layers_.emplace_back();
    for (size_t slot = 0; slot < n.inputs.size(); ++slot) {
      const ir::ValueId v = n.inputs[slot];
      if (v == ir::kNoValue || NetOf(v) < 0) continue;
      Net& net = nets_[static_cast<size_t>(NetOf(v))];
      add(net.layers, l);
      if (!quant::IsPostOpOperand(n, slot)) add(net.readers, l);  // a post-op operand is taken as it is
    }
    for (ir::ValueId v : n.outputs) {
      if (v == ir::kNoValue || NetOf(v) < 0) continue;
      add(nets_[static_cast<size_t>(NetOf(v))].layers, l);
      add(nets_[static_cast<size_t>(NetOf(v))].writers, l);
      add(layer.written, NetOf(v));
    }
  }
}

int LatencyModel::NetOfEntry(const std::string& name, bool* is_convert) const {
  constexpr std::string_view kReorder = "/reorder";
  if (*is_convert = name.ends_with(kReorder); *is_convert) {
    const auto input = net_of_input_.find(name.substr(0, name.size() - kReorder.size()));
    return input == net_of_input_.end() ? -1 : input->second;
  }
  if (const auto node = net_of_node_.find(name); node != net_of_node_.end()) return node->second;
  const auto value = net_of_value_.find(name.substr(0, name.rfind(':')));
  *is_convert = value != net_of_value_.end();
  return *is_convert ? value->second : -1;
}

void LatencyModel::AddAlone(size_t layer, int candidate, const Profile& profile) {
  for (const auto& [name, us] : profile) {
    if (const auto found = layer_of_name_.find(name); found != layer_of_name_.end()) {
      if (found->second != layer) continue;
      double& bordered = layers_[layer].bordered_us[static_cast<size_t>(candidate)];
      bordered = std::max(bordered, us);
      continue;
    }
    bool is_convert = false;
    const int id = NetOfEntry(name, &is_convert);
    if (id < 0 || !is_convert) continue;
    Net& net = nets_[static_cast<size_t>(id)];
    if (std::find(net.readers.begin(), net.readers.end(), layer) == net.readers.end()) continue;  // a reorder as in f32
    net.convert_us = std::max(net.convert_us, us);
    seen_convert_us_ += us;
    seen_convert_elements_ += static_cast<double>(net.elements);
  }
  if (seen_convert_elements_ > 0) convert_us_per_element_ = seen_convert_us_ / seen_convert_elements_;
}

bool LatencyModel::IsUniform(const Net& net, const Assignment& assignment) const {
  return std::all_of(net.layers.begin(), net.layers.end(),
                     [&](size_t l) { return assignment[l] == assignment[net.layers[0]]; });
}

int LatencyModel::NumConverts(const Net& net, const Assignment& assignment) const {
  const auto precision = [&](size_t layer) { return candidates_[static_cast<size_t>(assignment[layer])]; };
  uint64_t asked = 0;  // a bit per candidate
  for (size_t l : net.readers) {
    if (precision(l) != quant::Precision::kF32) asked |= uint64_t{1} << assignment[l];
  }
  const int converts = std::popcount(asked);
  const auto all = [&](const std::vector<size_t>& layers, auto predicate) {
    return std::all_of(layers.begin(), layers.end(), predicate);
  };
  const bool writes_narrow = converts == 1 && !net.has_other_readers && net.writers.size() == 1 &&
                             precision(net.writers[0]) == quant::Precision::kInt8 && all(net.readers, [&](size_t l) {
                               return precision(l) == quant::Precision::kBF16 || precision(l) == quant::Precision::kF16;
                             });
  return writes_narrow ? 0 : converts;
}

double LatencyModel::Microseconds(const Assignment& assignment) const {
  double sum = other_us_;
  std::vector<bool> uniform(nets_.size());
  for (size_t i = 0; i < nets_.size(); ++i) {
    const Net& net = nets_[i];
    uniform[i] = IsUniform(net, assignment);
    if (net.layers.empty()) {
      sum += net.f32_us;
    } else if (uniform[i]) {
      sum += net.uniform_us[static_cast<size_t>(assignment[net.layers[0]])];
    } else {
      const double convert =
          net.convert_us >= 0 ? net.convert_us : convert_us_per_element_ * static_cast<double>(net.elements);
      sum += net.f32_us + convert * NumConverts(net, assignment);
    }
  }
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Layer& layer = layers_[l];
    const bool bordered = std::any_of(layer.written.begin(), layer.written.end(),
                                      [&](int n) { return !uniform[static_cast<size_t>(n)]; });
    sum += (bordered ? layer.bordered_us : layer.uniform_us)[static_cast<size_t>(assignment[l])];
  }
  return sum;
}

}  // namespace precis::search
