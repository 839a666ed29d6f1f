#ifndef PRECIS_ENGINE_SEARCH_COMPILER_H_
#define PRECIS_ENGINE_SEARCH_COMPILER_H_

// What the search needs to compile and run a network without knowing how that is done; model.h implements it.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/quant/policy.h"
#include "engine/tensor/tensor.h"

namespace precis::search {

// A node of the compiled graph: one of the optimised graph under its own name; a Convert, named "<value>:<type>" after what it converts; or
// a change of type or layout ahead of a node, named "<node>/reorder".
struct CompiledLayer {
  std::string name;
  int64_t weight_bytes = 0;  // read per run
};

class CompiledNetwork {
 public:
  virtual ~CompiledNetwork() = default;
  virtual const std::vector<CompiledLayer>& layers() const = 0;
  // Runs one sample (a tensor per graph input); `outputs` are reused when they fit.
  virtual absl::Status Run(const std::vector<Tensor>& sample, std::vector<Tensor>* outputs) = 0;
  // The same; `layer_us` becomes each layer's time in microseconds.
  virtual absl::Status RunTimed(const std::vector<Tensor>& sample, std::vector<Tensor>* outputs,
                                std::vector<double>* layer_us) = 0;
};

class Compiler {
 public:
  virtual ~Compiler() = default;
  // The network under `policy`, which may ask for int8 layers.
  virtual absl::StatusOr<std::unique_ptr<CompiledNetwork>> Compile(const quant::Policy& policy) = 0;
};

}  // namespace precis::search

#endif  // PRECIS_ENGINE_SEARCH_COMPILER_H_
