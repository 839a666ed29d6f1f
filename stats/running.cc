#include "stats/running.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace precis::stats {

void RunningPair::Add(double x, double y) {
  ++count_;
  const double n = static_cast<double>(count_), dx = x - mean_x_, dy = y - mean_y_;
  mean_x_ += dx / n;
  mean_y_ += dy / n;
  sum_xx_ += dx * (x - mean_x_);
  sum_yy_ += dy * (y - mean_y_);
  sum_xy_ += dx * (y - mean_y_);
}

void RunningPair::Merge(const RunningPair& other) {
  if (other.count_ == 0) return;
  const double own = static_cast<double>(count_), theirs = static_cast<double>(other.count_), all = own + theirs;
  const double dx = other.mean_x_ - mean_x_, dy = other.mean_y_ - mean_y_;
  count_ += other.count_;
  mean_x_ += dx * theirs / all;
  mean_y_ += dy * theirs / all;
  sum_xx_ += other.sum_xx_ + dx * dx * own * theirs / all;
  sum_yy_ += other.sum_yy_ + dy * dy * own * theirs / all;
  sum_xy_ += other.sum_xy_ + dx * dy * own * theirs / all;
}

Estimate RunningPair::MeanX() const {
  if (count_ < 2) return {mean_x_, std::nullopt};
  const double n = static_cast<double>(count_);
  const double half = kNormalQuantile * std::sqrt(sum_xx_ / (n - 1) / n);
  return {mean_x_, Interval{mean_x_ - half, mean_x_ + half}};
}

Estimate RunningPair::RatioDb() const {
  if (mean_y_ == 0) return {std::numeric_limits<double>::infinity(), std::nullopt};
  if (mean_x_ == 0) return {-std::numeric_limits<double>::infinity(), std::nullopt};
  const double value = 10 * std::log10(mean_x_ / mean_y_);
  if (count_ < 2) return {value, std::nullopt};
  const double n = static_cast<double>(count_);
  const double variance = sum_xx_ / (mean_x_ * mean_x_) + sum_yy_ / (mean_y_ * mean_y_) -
                          2 * sum_xy_ / (mean_x_ * mean_y_);  // of ln(x / y), times n - 1
  const double half = kNormalQuantile * std::sqrt(std::max(variance, 0.0) / (n - 1) / n) * 10 / std::log(10.0);
  return {value, Interval{value - half, value + half}};
}

}  // namespace precis::stats
