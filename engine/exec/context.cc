// Execution of a plan: arguments are bound once, ports are re-pointed per run, steps run in order on one stream.
#include "engine/exec/context.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/plan/threads.h"

namespace precis::exec {
namespace {

using Clock = std::chrono::steady_clock;

double MicrosecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

}  // namespace

struct Context::Impl {
  // One step, ready to run: either C arguments for oneDNN or tensor views for a kernel.
  struct Bound {
    std::vector<dnnl_exec_arg_t> arguments;
    std::vector<TensorView> inputs;
    std::vector<kernels::MutableTensorView> outputs;
  };
  // A place that holds a port's address and must be re-pointed per run.
  struct PortView {
    plan::Storage storage;
    int port;
    TensorView* input = nullptr;
    kernels::MutableTensorView* output = nullptr;
  };

  explicit Impl(const plan::Plan& p)
      : plan(p), stream(p.engine), arena(plan::AllocateAligned(static_cast<size_t>(p.arena_bytes) + 64)) {
    memories.resize(p.memories.size());
    for (size_t i = 0; i < p.memories.size(); ++i) {
      const plan::Memory& m = p.memories[i];
      if (plan::IsEmpty(m.desc)) continue;
      memories[i] = dnnl::memory(m.desc, p.engine, FixedAddress(m));
      if (m.storage == plan::Storage::kInput || m.storage == plan::Storage::kOutput)
        port_memories.push_back(static_cast<int>(i));
    }
    steps.resize(p.steps.size());
    for (size_t s = 0; s < p.steps.size(); ++s) BindStep(p.steps[s], steps[s]);
    for (size_t s = 0; s < p.steps.size(); ++s) FindPortViews(p.steps[s], steps[s]);
  }

  // Address of arena and constant memories; null for ports.
  void* FixedAddress(const plan::Memory& m) const {
    if (m.storage == plan::Storage::kArena) return static_cast<char*>(arena.get()) + m.offset;
    return const_cast<void*>(m.constant);
  }

  void BindStep(const plan::Step& step, Bound& bound) {
    for (const plan::Argument& a : step.arguments)
      bound.arguments.push_back({a.dnnl_arg, memories[static_cast<size_t>(a.memory)].get()});
    for (int m : step.inputs) {
      bound.inputs.push_back(m < 0 ? TensorView{}
                                   : TensorView{MemoryOf(m).dtype, MemoryOf(m).shape, FixedAddress(MemoryOf(m))});
    }
    for (int m : step.outputs) {
      bound.outputs.push_back(
          m < 0 ? kernels::MutableTensorView{}
                : kernels::MutableTensorView{MemoryOf(m).dtype, MemoryOf(m).shape, FixedAddress(MemoryOf(m))});
    }
  }

  void FindPortViews(const plan::Step& step, Bound& bound) {
    const auto is_port = [&](int m) {
      return m >= 0 && (MemoryOf(m).storage == plan::Storage::kInput || MemoryOf(m).storage == plan::Storage::kOutput);
    };
    for (size_t i = 0; i < step.inputs.size(); ++i) {
      if (is_port(step.inputs[i]))
        port_views.push_back(
            {MemoryOf(step.inputs[i]).storage, MemoryOf(step.inputs[i]).port, &bound.inputs[i], nullptr});
    }
    for (size_t i = 0; i < step.outputs.size(); ++i) {
      if (is_port(step.outputs[i]))
        port_views.push_back(
            {MemoryOf(step.outputs[i]).storage, MemoryOf(step.outputs[i]).port, nullptr, &bound.outputs[i]});
    }
  }

  const plan::Memory& MemoryOf(int m) const { return plan.memories[static_cast<size_t>(m)]; }

  void Point(std::span<const void* const> inputs, std::span<void* const> outputs) {
    const auto address = [&](plan::Storage storage, int port) {
      return storage == plan::Storage::kInput ? const_cast<void*>(inputs[static_cast<size_t>(port)])
                                              : outputs[static_cast<size_t>(port)];
    };
    for (int m : port_memories) {
      auto* start = static_cast<char*>(address(MemoryOf(m).storage, MemoryOf(m).port));
      memories[static_cast<size_t>(m)].set_data_handle(start + MemoryOf(m).view_offset);
    }
    for (const PortView& v : port_views) {
      if (v.input != nullptr) v.input->data = address(v.storage, v.port);
      if (v.output != nullptr) v.output->data = address(v.storage, v.port);
    }
  }

  absl::Status RunStep(size_t s) {
    const plan::Step& step = plan.steps[s];
    const Bound& bound = steps[s];
    if (step.kernel) {
      step.kernel(bound.inputs, bound.outputs);
      return absl::OkStatus();
    }
    const dnnl_status_t status = dnnl_primitive_execute(
        step.primitive.get(), stream.get(), static_cast<int>(bound.arguments.size()), bound.arguments.data());
    if (status == dnnl_success) return absl::OkStatus();
    return absl::InternalError(
        absl::StrCat("layer \"", plan.layers[static_cast<size_t>(step.layer)].name, "\": oneDNN status ", status));
  }

  // Shows a step's value; blocked layouts are brought to channels-last first.
  void Show(const plan::Step& step, absl::FunctionRef<void(const ObservedValue&)> observe) {
    const plan::Memory& m = MemoryOf(step.observed_memory);
    if (m.dtype != DataType::kF32 || plan::IsEmpty(m.desc)) return;
    dnnl::memory source = memories[static_cast<size_t>(step.observed_memory)];
    const dnnl::memory::desc desc = m.desc;
    if (desc.get_inner_nblks() == 0) {
      observe({step.observed_value, static_cast<const float*>(source.get_data_handle()), m.shape, desc.get_strides()});
      return;
    }
    std::vector<int64_t> strides(m.shape.size());
    int64_t count = m.shape[1];
    strides[1] = 1;
    for (size_t i = m.shape.size(); i-- > 2;) {
      strides[i] = count;
      count *= m.shape[i];
    }
    strides[0] = count;
    std::vector<float> plain(static_cast<size_t>(count * m.shape[0]));
    dnnl::memory target({m.shape, dnnl::memory::data_type::f32, strides}, plan.engine, plain.data());
    dnnl::reorder(source, target).execute(stream, source, target);
    observe({step.observed_value, plain.data(), m.shape, strides});
  }

  const plan::Plan& plan;
  dnnl::stream stream;
  std::shared_ptr<void> arena;
  std::vector<dnnl::memory> memories;
  std::vector<int> port_memories;
  std::vector<Bound> steps;
  std::vector<PortView> port_views;
};

Context::Context(std::shared_ptr<const plan::Plan> plan)
    : impl_(std::make_unique<Impl>(*plan)), plan_(std::move(plan)) {}
Context::~Context() = default;

absl::Status Context::Run(std::span<const void* const> inputs, std::span<void* const> outputs) {
  const plan::ThreadCountScope threads(plan_->threads);
  impl_->Point(inputs, outputs);
  for (size_t s = 0; s < impl_->steps.size(); ++s) PRECIS_RETURN_IF_ERROR(impl_->RunStep(s));
  return absl::OkStatus();
}

absl::Status Context::RunPaced(std::span<const void* const> inputs, std::span<void* const> outputs,
                               absl::FunctionRef<bool()> between_steps) {
  const plan::ThreadCountScope threads(plan_->threads);
  impl_->Point(inputs, outputs);
  for (size_t s = 0; s < impl_->steps.size(); ++s) {
    if (!between_steps()) return absl::CancelledError("the run was ended between two layers");
    PRECIS_RETURN_IF_ERROR(impl_->RunStep(s));
  }
  return absl::OkStatus();
}

absl::Status Context::RunObserved(std::span<const void* const> inputs, std::span<void* const> outputs,
                                  absl::FunctionRef<void(const ObservedValue&)> observe) {
  const plan::ThreadCountScope threads(plan_->threads);
  impl_->Point(inputs, outputs);
  for (size_t s = 0; s < impl_->steps.size(); ++s) {
    PRECIS_RETURN_IF_ERROR(impl_->RunStep(s));
    if (plan_->steps[s].observed_memory >= 0) impl_->Show(plan_->steps[s], observe);
  }
  return absl::OkStatus();
}

absl::Status Context::RunTimed(std::span<const void* const> inputs, std::span<void* const> outputs,
                               std::vector<double>& step_us) {
  const plan::ThreadCountScope threads(plan_->threads);
  impl_->Point(inputs, outputs);
  step_us.resize(impl_->steps.size(), 0.0);
  for (size_t s = 0; s < impl_->steps.size(); ++s) {
    const auto start = Clock::now();
    PRECIS_RETURN_IF_ERROR(impl_->RunStep(s));
    step_us[s] += MicrosecondsSince(start);
  }
  return absl::OkStatus();
}

absl::StatusOr<double> Context::TimeStepAlone(size_t index, int repetitions) {
  const plan::ThreadCountScope threads(plan_->threads);
  std::vector<double> times;
  for (int i = 0; i < repetitions; ++i) {
    const auto start = Clock::now();
    PRECIS_RETURN_IF_ERROR(impl_->RunStep(index));
    times.push_back(MicrosecondsSince(start));
  }
  std::nth_element(times.begin(), times.begin() + repetitions / 2, times.end());
  return times[static_cast<size_t>(repetitions / 2)];
}

}  // namespace precis::exec
