#include "server/app/health_board.h"

namespace precis::server {

void HealthBoard::Set(const std::string& name, bool serving) {
  absl::MutexLock lock(&mutex_);
  serving_[name] = serving && !closed_;
  if (service_ != nullptr) service_->SetServingStatus(name, serving_[name]);
}

void HealthBoard::Attach(grpc::HealthCheckServiceInterface* service) {
  absl::MutexLock lock(&mutex_);
  service_ = service;
  if (service_ == nullptr) return;
  for (const auto& [name, serving] : serving_) service_->SetServingStatus(name, serving);
}

void HealthBoard::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  for (auto& [name, serving] : serving_) {
    serving = false;
    if (service_ != nullptr) service_->SetServingStatus(name, false);
  }
}

}  // namespace precis::server
