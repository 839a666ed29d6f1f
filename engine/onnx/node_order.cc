// Kahn's algorithm with a heap of indices, so that a sorted file keeps its order.
#include "engine/onnx/node_order.h"

#include <functional>
#include <queue>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "engine/onnx/quoting.h"

namespace precis::onnx_import {
namespace {

// Calls `read` for each name that the node reads, those in its branches included. Recursion ends with protobuf's own depth limit.
void ForEachRead(const onnx::NodeProto& node, absl::FunctionRef<void(absl::string_view)> read) {
  for (const std::string& name : node.input()) read(name);
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (!attribute.has_g()) continue;
    for (const onnx::NodeProto& inner : attribute.g().node()) ForEachRead(inner, read);
    for (const onnx::ValueInfoProto& output : attribute.g().output()) read(output.name());
  }
}

}  // namespace

std::string NodeLabel(const onnx::NodeProto& node) {
  const bool named = !node.name().empty();
  const absl::string_view output = node.output_size() > 0 ? absl::string_view(node.output(0)) : "";
  return absl::StrCat(named ? "node " : "node computing ", Quoted(named ? node.name() : output), " (",
                      absl::Utf8SafeCEscape(absl::string_view(node.op_type()).substr(0, 80)), ")");
}

absl::StatusOr<std::vector<int>> OrderNodes(const NodeList& nodes) {
  absl::flat_hash_map<absl::string_view, int> producers;
  for (int i = 0; i < nodes.size(); ++i) {
    for (const std::string& output : nodes[i].output()) {
      if (output.empty()) continue;
      const auto [it, inserted] = producers.try_emplace(output, i);
      if (inserted) continue;
      return absl::InvalidArgumentError(absl::StrCat("value ", Quoted(output), ": computed twice, by ",
                                                     NodeLabel(nodes[it->second]), " and ", NodeLabel(nodes[i])));
    }
  }
  std::vector<std::vector<int>> readers(static_cast<size_t>(nodes.size()));
  std::vector<int> missing(static_cast<size_t>(nodes.size()), 0);
  for (int i = 0; i < nodes.size(); ++i) {
    ForEachRead(nodes[i], [&](absl::string_view name) {
      const auto it = producers.find(name);
      if (it == producers.end()) return;
      readers[static_cast<size_t>(it->second)].push_back(i);
      ++missing[static_cast<size_t>(i)];
    });
  }
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int i = 0; i < nodes.size(); ++i) {
    if (missing[static_cast<size_t>(i)] == 0) ready.push(i);
  }
  std::vector<int> order;
  while (!ready.empty()) {
    const int i = ready.top();
    ready.pop();
    order.push_back(i);
    for (int reader : readers[static_cast<size_t>(i)]) {
      if (--missing[static_cast<size_t>(reader)] == 0) ready.push(reader);
    }
  }
  for (int i = 0; i < nodes.size() && static_cast<int>(order.size()) < nodes.size(); ++i) {
    if (missing[static_cast<size_t>(i)] == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(NodeLabel(nodes[i]), ": part of, or fed by, a cycle"));
  }
  return order;
}

}  // namespace precis::onnx_import
