#include "tests/onnx/text_model.h"

#include <onnx/defs/parser.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace precis::onnx_import {

onnx::ModelProto ParseModel(const std::string& text, int opset) {
  const std::string header = absl::StrCat("<ir_version: 8, opset_import: [\"\" : ", opset, "]>\n");
  const std::string source = text.starts_with('<') ? text : header + text;
  onnx::ModelProto model;
  const auto status = onnx::OnnxParser::Parse(model, source.c_str());
  if (!status.IsOK()) {
    std::fprintf(stderr, "%s\n%s\n", source.c_str(), status.ErrorMessage().c_str());
    std::abort();
  }
  return model;
}

absl::StatusOr<ir::Graph> Import(const onnx::ModelProto& model, const std::string& folder, const ImportLimits& limits) {
  return ImportBytes(model.SerializeAsString(), folder, limits);
}

absl::StatusOr<ir::Graph> ImportText(const std::string& text, int opset) { return Import(ParseModel(text, opset)); }

std::string ImportedText(const std::string& text, int opset) {
  const absl::StatusOr<ir::Graph> graph = ImportText(text, opset);
  return graph.ok() ? graph->ToString() : graph.status().ToString();
}

}  // namespace precis::onnx_import
