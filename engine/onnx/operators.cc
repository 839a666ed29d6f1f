// The list of lists. A new operator is one function and one row in the file of its group.
#include "engine/onnx/operators.h"

#include "absl/strings/str_cat.h"

namespace precis::onnx_import {

const OperatorTable& Operators() {
  static const OperatorTable* const table = [] {
    auto* t = new OperatorTable;
    AddWindowOperators(*t);
    AddEinsum(*t);
    AddSamplingOperators(*t);
    AddNormalizationOperators(*t);
    AddElementwiseOperators(*t);
    AddMovementOperators(*t);
    AddReductionOperators(*t);
    AddRecurrentOperators(*t);
    AddQuantizationOperators(*t);
    AddContribOperators(*t);
    return t;
  }();
  return *table;
}

ImportFunction FindOperator(absl::string_view domain, absl::string_view op_type) {
  const auto it = domain.empty() ? Operators().find(op_type) : Operators().find(absl::StrCat(domain, ".", op_type));
  return it == Operators().end() ? nullptr : it->second;
}

}  // namespace precis::onnx_import
