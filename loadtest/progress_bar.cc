#include "loadtest/progress_bar.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace precis::loadtest {
namespace {

constexpr int kWidth = 24;
constexpr char kClearLine[] = "\r\x1b[K";

}  // namespace

ProgressBar::ProgressBar(std::ostream* out) : out_(out) {}

ProgressBar::~ProgressBar() {
  if (shown_) *out_ << kClearLine << std::flush;
}

void ProgressBar::Show(const std::string& what, const Progress& progress) {
  if (out_ == nullptr) return;
  const double fraction = std::clamp(progress.fraction, 0.0, 1.0);
  const int filled = static_cast<int>(std::lround(fraction * kWidth));
  const std::string bar = std::string(filled, '=') + std::string(kWidth - filled, ' ');
  *out_ << kClearLine << absl::StrFormat("%s  [%s] %3.0f%%  ", what, bar, 100 * fraction);
  if (progress.warming_up) {
    *out_ << "warming up";
  } else {
    *out_ << absl::StrFormat("%.1f/s, %d in flight, %d failed", progress.throughput, progress.in_flight,
                             progress.failed);
  }
  *out_ << std::flush;
  shown_ = true;
}

}  // namespace precis::loadtest
