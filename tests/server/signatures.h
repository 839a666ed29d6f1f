#ifndef PRECIS_TESTS_SERVER_SIGNATURES_H_
#define PRECIS_TESTS_SERVER_SIGNATURES_H_

#include <string>
#include <utility>

#include "server/config/signature.h"

namespace precis::server {

inline WireTensor Wire(std::string name, DataType dtype, Shape shape) { return {std::move(name), dtype, shape, shape}; }

// x: f32 [?,3], ids: s64 [2], out: f32 [?,3], label: s64 [?].
inline Signature TwoInputs() {
  Signature signature;
  signature.inputs = {Wire("x", DataType::kF32, {-1, 3}), Wire("ids", DataType::kS64, {2})};
  signature.outputs = {Wire("out", DataType::kF32, {-1, 3}), Wire("label", DataType::kS64, {-1})};
  return signature;
}

// One input and one output of a type, shape [?].
inline Signature OneInput(DataType dtype) {
  Signature signature;
  signature.inputs = {Wire("x", dtype, {-1})};
  signature.outputs = {Wire("out", dtype, {-1})};
  return signature;
}

}  // namespace precis::server

#endif  // PRECIS_TESTS_SERVER_SIGNATURES_H_
