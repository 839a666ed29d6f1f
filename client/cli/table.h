#ifndef PRECIS_CLIENT_CLI_TABLE_H_
#define PRECIS_CLIENT_CLI_TABLE_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace precis::cli {

// Columns of text with a heading each, as wide as their widest cell, two spaces apart. A column whose heading starts with
// '>' is aligned right. Widths count UTF-8 characters.
class Table {
 public:
  explicit Table(std::vector<std::string> headings);
  // As many cells as there are headings.
  void AddRow(std::vector<std::string> cells);
  void Print(std::ostream& out) const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;  // the headings first
};

// "12.3 MB", with decimal prefixes; "0 B".
std::string FormatBytes(int64_t bytes);
// `value` with so many decimals; "-" when it is not finite.
std::string FormatNumber(double value, int decimals);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_TABLE_H_
