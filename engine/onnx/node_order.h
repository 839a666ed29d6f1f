#ifndef PRECIS_ENGINE_ONNX_NODE_ORDER_H_
#define PRECIS_ENGINE_ONNX_NODE_ORDER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "onnx/onnx_pb.h"

namespace precis::onnx_import {

using NodeList = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

// How messages name a node: `node "conv1" (Conv)`, or `node computing "y" (Conv)` where it has no name.
std::string NodeLabel(const onnx::NodeProto& node);

// Indices of the nodes, producers before consumers, otherwise as listed (files are not always sorted, as ONNX wants them to be).
// What branches read of the enclosing graph counts as read by their node. InvalidArgument: two nodes compute one value; a cycle.
absl::StatusOr<std::vector<int>> OrderNodes(const NodeList& nodes);

}  // namespace precis::onnx_import

#endif  // PRECIS_ENGINE_ONNX_NODE_ORDER_H_
