#ifndef PRECIS_SERVER_CONFIG_SIGNATURE_H_
#define PRECIS_SERVER_CONFIG_SIGNATURE_H_

#include <string>
#include <vector>

#include "engine/tensor/tensor.h"

namespace precis::server {

// One input or output as clients see it and as the engine takes it.
struct WireTensor {
  std::string name;
  DataType dtype = DataType::kF32;
  Shape shape;         // on the wire, with the batch dimension; kUnknownDim where free
  Shape engine_shape;  // the ONNX file's; differs from `shape` where config.pbtxt says `reshape`
};

struct Signature {
  std::vector<WireTensor> inputs;  // in the engine's order
  std::vector<WireTensor> outputs;
  int max_batch_size = 0;  // above 0: dimension 0 of every tensor is the batch
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_CONFIG_SIGNATURE_H_
