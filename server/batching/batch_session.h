#ifndef PRECIS_SERVER_BATCHING_BATCH_SESSION_H_
#define PRECIS_SERVER_BATCHING_BATCH_SESSION_H_

// A worker's session that takes any number of jobs as one batch: it gathers their items into buffers of its own, runs the model
// in the sizes of the batch plan, and scatters the rows of the outputs. What lies together in one job is not copied on its way
// in, and a job that is a run by itself is not copied on its way out.

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/model.h"
#include "server/batching/batch_plan.h"
#include "server/batching/job.h"
#include "server/metrics/server_metrics.h"

namespace precis::server {

// Not thread-safe.
class BatchSession {
 public:
  // `plan` and `metrics` (may be null) outlive this.
  BatchSession(std::shared_ptr<const Variant> variant, const BatchPlan* plan, VariantMetrics* metrics,
               std::function<absl::Time()> clock);

  // Runs jobs whose inputs can share a run (equal shapes but for dimension 0). On success outputs[i] is what jobs[i] gets.
  // Appends the sizes of the runs to `runs`. Errors: the engine's, for all jobs together.
  absl::Status Run(std::span<const Job> jobs, std::span<std::vector<Tensor>> outputs, RunSizes* runs);

  // How long `job` will take: smoothed over earlier ones of its shapes; infinite when that is not known or it is several runs.
  absl::Duration Expected(const Job& job) const;

 private:
  // What is known of runs at one combination of shapes.
  struct Known {
    std::vector<TensorView> inputs;  // the data changes with every run
    std::vector<Tensor> outputs;     // of runs whose rows are scattered
    absl::Duration smoothed = absl::InfiniteDuration();
    int runs = 0;
    int64_t weight_bytes = 0, activation_bytes = 0;  // moved by one run
  };
  // Where the next item is taken from.
  struct Cursor {
    size_t job = 0;
    int64_t row = 0;
  };

  // Runs `items` items from `cursor` on as a run of `size`, and moves the cursor behind them.
  absl::Status RunPiece(std::span<const Job> jobs, std::span<std::vector<Tensor>> outputs, int64_t size, int64_t items,
                        Cursor* cursor);
  absl::Status RunModel(Known& known, std::vector<Tensor>* outputs, int64_t items);
  // The entry for the shapes of `like` with `size` in dimension 0; size 0: with what it has.
  Known& Find(const std::vector<TensorView>& like, int64_t size);
  void Gather(std::span<const Job> jobs, Cursor cursor, int64_t items, Known& known);
  static Cursor Scatter(std::span<const Job> jobs, std::span<std::vector<Tensor>> outputs, Cursor cursor, int64_t items,
                        const Known& known);

  const std::shared_ptr<const Variant> variant_;
  const BatchPlan& plan_;
  VariantMetrics* const metrics_;
  const std::function<absl::Time()> clock_;
  std::unique_ptr<Session> session_;  // made by the first run
  std::list<Known> known_;            // the latest used first
  std::vector<Tensor> gathered_;      // by input; as large as the largest run that needed it
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_BATCHING_BATCH_SESSION_H_
