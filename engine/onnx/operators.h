#ifndef PRECIS_ENGINE_ONNX_OPERATORS_H_
#define PRECIS_ENGINE_ONNX_OPERATORS_H_

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "engine/onnx/node_import.h"

namespace precis::onnx_import {

// Translates one ONNX node of any version of its operator within opsets 7 to 22. What is version dependent asks node.opset().
using ImportFunction = void (*)(NodeImport& node);

// op_type -> function for the default domain; operators of other domains are keyed "domain.op_type".
using OperatorTable = absl::flat_hash_map<absl::string_view, ImportFunction>;

// The one table, made on first use.
const OperatorTable& Operators();

// The function for a node; null when there is none. `domain` is "" for the default one.
ImportFunction FindOperator(absl::string_view domain, absl::string_view op_type);

// Each adds one file's operators.
void AddWindowOperators(OperatorTable& table);  // convolution, matrix product, pooling, resampling
void AddEinsum(OperatorTable& table);
void AddSamplingOperators(OperatorTable& table);       // GridSample, RoiAlign, MaxUnpool
void AddNormalizationOperators(OperatorTable& table);  // batch, layer, instance, group, local response; softmax
void AddElementwiseOperators(OperatorTable& table);
void AddMovementOperators(OperatorTable& table);  // shapes, indexing, constants
void AddReductionOperators(OperatorTable& table);
void AddRecurrentOperators(OperatorTable& table);  // LSTM, GRU, RNN
void AddQuantizationOperators(OperatorTable& table);
void AddContribOperators(OperatorTable& table);  // com.microsoft, as ONNX Runtime's optimiser writes them

}  // namespace precis::onnx_import

#endif  // PRECIS_ENGINE_ONNX_OPERATORS_H_
