// The importer's front: reads the file, bounds what it may cost, and hands the parsed model to GraphImport.
#include "engine/onnx/importer.h"

#include <filesystem>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/status_macros.h"
#include "engine/onnx/graph_import.h"
#include "engine/onnx/model_file.h"
#include "engine/onnx/operators.h"
#include "engine/onnx/quoting.h"
#include "engine/onnx/tensor_reader.h"
#include "onnx/onnx_pb.h"

namespace precis::onnx_import {
namespace {

// Runs `step`, a function that returns a Status or StatusOr; storage that cannot be had becomes ResourceExhausted.
template <typename Step>
auto WithinMemory(Step step) -> decltype(step()) {
  try {
    return step();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("not enough memory to import the model");
  }
}

std::string DescribePort(const ir::Graph& graph, const ir::Port& port) {
  const ir::Value& value = graph.value(port.value);
  return absl::StrCat(value.name, " : ", Name(value.dtype), ShapeToString(value.shape), " {",
                      absl::StrJoin(port.dim_names, ","), "}\n");
}

}  // namespace

absl::StatusOr<ir::Graph> ImportFile(const std::string& path, const ImportLimits& limits) {
  return WithinMemory([&]() -> absl::StatusOr<ir::Graph> {
    onnx::ModelProto model;
    PRECIS_RETURN_IF_ERROR(ParseFile(path, limits.max_file_bytes, &model));
    const std::string folder = std::filesystem::path(path).parent_path().string();
    ir::Graph graph;
    PRECIS_RETURN_IF_ERROR(GraphImport(graph, folder.empty() ? "." : folder, limits).Run(model));
    return graph;
  });
}

absl::StatusOr<ir::Graph> ImportBytes(absl::string_view bytes, const std::string& folder, const ImportLimits& limits) {
  return WithinMemory([&]() -> absl::StatusOr<ir::Graph> {
    onnx::ModelProto model;
    PRECIS_RETURN_IF_ERROR(ParseBytes(bytes, "model", &model));
    ir::Graph graph;
    PRECIS_RETURN_IF_ERROR(GraphImport(graph, folder, limits).Run(model));
    return graph;
  });
}

bool IsSupportedOperator(absl::string_view domain, absl::string_view op_type) {
  const bool is_expanded = (op_type == "If" || op_type == "Loop") && (domain.empty() || domain == "ai.onnx");
  return is_expanded || FindOperator(domain == "ai.onnx" ? "" : domain, op_type) != nullptr;
}

absl::StatusOr<Tensor> ReadTensorFile(const std::string& path, const ImportLimits& limits) {
  return WithinMemory([&]() -> absl::StatusOr<Tensor> {
    onnx::TensorProto proto;
    PRECIS_RETURN_IF_ERROR(ParseFile(path, limits.max_file_bytes, &proto));
    absl::StatusOr<Tensor> tensor = TensorReader("", limits).Read(proto);
    if (!tensor.ok())
      return absl::Status(tensor.status().code(), absl::StrCat(Quoted(path), ": ", tensor.status().message()));
    return tensor;
  });
}

std::string Describe(const ir::Graph& graph) {
  std::string text = absl::StrCat("graph ", graph.name, "\n");
  for (const ir::Port& port : graph.inputs) absl::StrAppend(&text, "input ", DescribePort(graph, port));
  for (const ir::Port& port : graph.outputs) absl::StrAppend(&text, "output ", DescribePort(graph, port));
  return absl::StrCat(text, graph.ToString());
}

}  // namespace precis::onnx_import
