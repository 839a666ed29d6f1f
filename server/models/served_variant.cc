#include "server/models/served_variant.h"

namespace precis::server {

void ServedVariant::AwaitUnpinned() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &ServedVariant::Unpinned));
}

VariantPin::VariantPin(ServedVariant* served) : served_(served) {
  absl::MutexLock lock(&served_->mutex_);
  ++served_->pins_;
}

VariantPin::~VariantPin() {
  if (served_ == nullptr) return;
  absl::MutexLock lock(&served_->mutex_);
  --served_->pins_;
}

}  // namespace precis::server
