#ifndef PRECIS_ENGINE_PLAN_PLAN_H_
#define PRECIS_ENGINE_PLAN_PLAN_H_

// A plan is a specialised graph lowered to an ordered list of steps (oneDNN primitives and kernels) over one arena, with weights
// prepacked in the layouts that the primitives chose. It is immutable after BuildPlan and shared by all workers; what changes per run lives
// in exec/context.h.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/ir/graph.h"
#include "engine/kernels/kernel.h"
#include "engine/plan/weight_store.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace precis::plan {

// Where the bytes of a memory live.
enum class Storage { kArena, kConstant, kInput, kOutput };

// True for no descriptor at all; oneDNN's default-made one is a valid handle.
inline bool IsEmpty(const dnnl::memory::desc& desc) { return !desc || desc.is_zero(); }

// One tensor in one layout. Several memories may share bytes (views, in-place results).
struct Memory {
  DataType dtype = DataType::kF32;  // as stored: f16 values are held as rounded f32 where arithmetic is f32
  Shape shape;                      // logical
  dnnl::memory::desc desc;          // empty for dtypes oneDNN does not know (s64, bool…), which are row-major
  Storage storage = Storage::kArena;
  int64_t offset = 0;       // kArena: bytes from the arena's start
  int64_t view_offset = 0;  // bytes from the start of the buffer that it is a view of; part of `offset` and `constant`
  int port = 0;             // kInput, kOutput: index of the graph's port
  const void* constant = nullptr;  // kConstant: kept alive by Plan::constants
};

struct Argument {
  int dnnl_arg;
  int memory;
};

// Either a oneDNN primitive with its arguments or a kernel over memories.
struct Step {
  int layer = 0;
  dnnl::primitive primitive;  // set when kernel is null
  std::vector<Argument> arguments;
  kernels::Kernel kernel;
  std::vector<int> inputs, outputs;  // of the kernel; -1 marks an absent input
  // Memory that the step writes and that a calibration run may look at; -1 when nobody does.
  int observed_memory = -1;
  ir::ValueId observed_value = ir::kNoValue;
};

// How the implementation of a layer begins whose sums are emulated (ir::Node::accumulation); its times say nothing of any hardware.
inline constexpr char kEmulated[] = "emulated:";

struct LayerInfo {
  std::string name;       // node name
  std::string op;         // "Conv+Relu"
  std::string precision;  // "u8*s8->u8", "f32"…
  std::string
      implementation;  // oneDNN's impl_info_str() or "plain"; " + " joins those of several steps, repetitions left out
  std::string note;    // why it is at this precision
  bool slow_reference = false;   // a heavy layer on a `ref` implementation
  int64_t weight_bytes = 0;      // constants read per run
  int64_t activation_bytes = 0;  // other bytes read and written per run
};

struct Plan {
  dnnl::engine engine;
  int threads = 1;
  std::vector<Memory> memories;
  std::vector<Step> steps;
  std::vector<LayerInfo> layers;
  std::vector<int> input_memories;   // per graph input
  std::vector<int> output_memories;  // per graph output
  std::vector<Shape> input_shapes;
  std::vector<std::shared_ptr<const void>> constants;  // owners of kConstant bytes
  int64_t arena_bytes = 0;
  int64_t weight_bytes = 0;  // prepacked weights that this plan holds
};

struct PlanOptions {
  int threads = 1;                    // oneDNN chooses kernels for this many; contexts must run with as many
  std::vector<ir::ValueId> observed;  // values shown to the observer of a calibration run
};

// Lowers a specialised graph. Weights that another plan of the same store already packed alike are shared.
// Errors: Unimplemented names every node that cannot be lowered at its precision; ResourceExhausted when memory does not suffice;
// Internal for anything oneDNN refuses.
absl::StatusOr<std::shared_ptr<const Plan>> BuildPlan(const ir::Graph& graph, const PlanOptions& options,
                                                      WeightStore& store);

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_PLAN_H_
