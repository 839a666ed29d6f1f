// Every rule of Triton's model configuration about dynamic batching, each refused with the field's name.

#include "server/config/scheduling.h"

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "engine/base/status_macros.h"

namespace precis::server {
namespace {

using inference::ModelDynamicBatching;
using inference::ModelQueuePolicy;

// A level costs a queue; Triton's own documentation speaks of a handful.
constexpr uint64_t kMaxPriorityLevels = 1024;

absl::Status Bad(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("config.pbtxt: dynamic_batching.", field, ": ", what));
}

absl::Duration FromMicroseconds(uint64_t value) {
  return absl::Microseconds(static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX)));
}

QueuePolicy ToPolicy(const ModelQueuePolicy& proto) {
  QueuePolicy policy;
  policy.delay_when_expired = proto.timeout_action() == ModelQueuePolicy::DELAY;
  if (proto.default_timeout_microseconds() > 0) {
    policy.default_timeout = FromMicroseconds(proto.default_timeout_microseconds());
  }
  policy.allow_timeout_override = proto.allow_timeout_override();
  if (proto.max_queue_size() > 0) policy.max_size = proto.max_queue_size();
  return policy;
}

absl::Status CheckQueuePolicy(absl::string_view field, const ModelQueuePolicy& policy, bool preserve_ordering) {
  if (!ModelQueuePolicy::TimeoutAction_IsValid(policy.timeout_action())) {
    return Bad(absl::StrCat(field, ".timeout_action"), absl::StrCat(policy.timeout_action(), ", want REJECT or DELAY"));
  }
  if (preserve_ordering && policy.timeout_action() == ModelQueuePolicy::DELAY) {
    return Bad(absl::StrCat(field, ".timeout_action"), "DELAY changes the order that preserve_ordering keeps");
  }
  return absl::OkStatus();
}

absl::Status CheckLevels(const ModelDynamicBatching& proto) {
  const uint64_t levels = proto.priority_levels();
  if (levels > kMaxPriorityLevels) {
    return Bad("priority_levels", absl::StrCat(levels, ", want at most ", kMaxPriorityLevels));
  }
  if (levels > 0 && (proto.default_priority_level() < 1 || proto.default_priority_level() > levels)) {
    return Bad("default_priority_level", absl::StrCat(proto.default_priority_level(), ", want 1 to ", levels));
  }
  if (levels > 1 && proto.preserve_ordering()) {
    return Bad("priority_levels", absl::StrCat(levels, " levels change the order that preserve_ordering keeps"));
  }
  for (const auto& [level, policy] : proto.priority_queue_policy()) {
    if (level < 1 || level > levels) {
      return Bad("priority_queue_policy", absl::StrCat("level ", level, ", want one of priority_levels = ", levels));
    }
    PRECIS_RETURN_IF_ERROR(
        CheckQueuePolicy(absl::StrCat("priority_queue_policy[", level, "]"), policy, proto.preserve_ordering()));
  }
  return CheckQueuePolicy("default_queue_policy", proto.default_queue_policy(), proto.preserve_ordering());
}

absl::Status ReadDynamicBatching(const ModelDynamicBatching& proto, Scheduling* scheduling) {
  PRECIS_RETURN_IF_ERROR(CheckLevels(proto));
  const int64_t largest = std::max<int64_t>(1, scheduling->max_batch_size);
  for (const int32_t size : proto.preferred_batch_size()) {
    if (size < 1 || size > largest) {
      return Bad("preferred_batch_size", absl::StrCat(size, ", want 1 to max_batch_size = ", largest));
    }
    scheduling->preferred_batch_sizes.push_back(size);
  }
  std::sort(scheduling->preferred_batch_sizes.begin(), scheduling->preferred_batch_sizes.end());
  scheduling->dynamic_batching = true;
  scheduling->max_queue_delay = FromMicroseconds(proto.max_queue_delay_microseconds());
  scheduling->preserve_ordering = proto.preserve_ordering();
  const uint64_t levels = std::max<uint64_t>(1, proto.priority_levels());
  scheduling->levels.assign(levels, ToPolicy(proto.default_queue_policy()));
  for (const auto& [level, policy] : proto.priority_queue_policy()) scheduling->levels[level - 1] = ToPolicy(policy);
  scheduling->default_level = proto.priority_levels() > 0 ? proto.default_priority_level() - 1 : 0;
  return absl::OkStatus();
}

}  // namespace

size_t Scheduling::LevelOf(uint64_t priority) const {
  return priority < 1 || priority > levels.size() ? default_level : priority - 1;
}

absl::Duration Scheduling::TimeoutOf(size_t level, absl::Duration timeout) const {
  const QueuePolicy& policy = levels[level];
  return policy.allow_timeout_override ? std::min(timeout, policy.default_timeout) : policy.default_timeout;
}

absl::StatusOr<Scheduling> MakeScheduling(const inference::ModelConfig& config) {
  Scheduling scheduling;
  if (config.max_batch_size() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("config.pbtxt: max_batch_size: ", config.max_batch_size(), ", want 0 or more"));
  }
  scheduling.max_batch_size = config.max_batch_size();
  for (const auto& group : config.instance_group()) {
    if (group.kind() != inference::ModelInstanceGroup::KIND_GPU) scheduling.workers += std::max(1, group.count());
  }
  if (config.has_dynamic_batching()) {
    PRECIS_RETURN_IF_ERROR(ReadDynamicBatching(config.dynamic_batching(), &scheduling));
  }
  return scheduling;
}

Parallelism ChooseParallelism(int cores, int workers, int threads) {
  if (workers <= 0 && threads <= 0) return {cores, 1};
  if (threads <= 0) return {workers, std::max(1, cores / workers)};
  if (workers <= 0) return {std::max(1, cores / threads), threads};
  return {workers, threads};
}

}  // namespace precis::server
