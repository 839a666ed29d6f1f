#ifndef PRECIS_TESTS_QUANT_QUANTIZED_GRAPHS_H_
#define PRECIS_TESTS_QUANT_QUANTIZED_GRAPHS_H_

// What tests of quantized graphs ask and say again and again.

#include <optional>

#include "engine/quant/assign.h"
#include "engine/quant/policy.h"

namespace precis::quant {

// int8 throughout, with every default.
inline const Policy kInt8 = [] {
  Policy policy;
  policy.precision = Precision::kInt8;
  return policy;
}();

// Where every value can be quantized; aborts on an error.
inline Assignment AssignAll(const ir::Graph& graph) {
  return *Assign(graph, Target{}, [](ir::ValueId) { return std::nullopt; });
}

inline int CountConverts(const ir::Graph& graph) {
  int count = 0;
  for (ir::NodeId id = 0; id < graph.num_node_slots(); ++id)
    count += graph.alive(id) && std::holds_alternative<ir::Convert>(graph.node(id).op);
  return count;
}

}  // namespace precis::quant

#endif  // PRECIS_TESTS_QUANT_QUANTIZED_GRAPHS_H_
