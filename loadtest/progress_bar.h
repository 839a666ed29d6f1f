#ifndef PRECIS_LOADTEST_PROGRESS_BAR_H_
#define PRECIS_LOADTEST_PROGRESS_BAR_H_

#include <ostream>
#include <string>

#include "loadtest/run.h"

namespace precis::loadtest {

// One line on a terminal, drawn over itself and gone at the end.
class ProgressBar {
 public:
  // `out` null: draws nothing. It must outlive the bar.
  explicit ProgressBar(std::ostream* out);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;

  void Show(const std::string& what, const Progress& progress);

 private:
  std::ostream* const out_;
  bool shown_ = false;
};

}  // namespace precis::loadtest

#endif  // PRECIS_LOADTEST_PROGRESS_BAR_H_
