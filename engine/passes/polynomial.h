#ifndef PRECIS_ENGINE_PASSES_POLYNOMIAL_H_
#define PRECIS_ENGINE_PASSES_POLYNOMIAL_H_

// Arithmetic in a graph read as a polynomial, so that a formula is recognised in whatever order its factors were written.

#include <array>
#include <optional>

#include "engine/ir/graph.h"

namespace precis::passes {

// sum of coefficient[i][j] * x^i * t^j, i <= 3 and j <= 1: all that the known spellings of activations need.
struct Polynomial {
  std::array<std::array<double, 2>, 4> coefficient{};
  // Equal up to the rounding with which exporters print constants such as sqrt(2).
  bool Matches(const Polynomial& other) const;
};

// Value `v` as a polynomial in the values x and t (kNoValue: none), through kLinear, Add, Sub, Mul and Pow by 2 or 3; nullopt where it is none.
std::optional<Polynomial> PolynomialOf(const ir::Graph& graph, ir::ValueId v, ir::ValueId x, ir::ValueId t);

}  // namespace precis::passes

#endif  // PRECIS_ENGINE_PASSES_POLYNOMIAL_H_
