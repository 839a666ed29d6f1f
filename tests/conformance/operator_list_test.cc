// docs/operators.md names the operators that the importer has, all of them and no others.
#include <algorithm>
#include <fstream>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "engine/onnx/operators.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace precis::conformance {
namespace {

constexpr char kContrib[] = "com.microsoft.";

// Names between backquotes under a heading, in the lines that hold nothing else.
std::set<std::string> ListedUnder(const std::string& heading) {
  std::ifstream file("docs/operators.md");
  std::set<std::string> names;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "## ")) inside = line == "## " + heading;
    if (!inside || !absl::StartsWith(line, "`") || !absl::EndsWith(line, "`")) continue;
    for (size_t from = line.find('`'); from != std::string::npos;) {
      const size_t to = line.find('`', from + 1);
      names.insert(line.substr(from + 1, to - from - 1));
      from = line.find('`', to + 1);
    }
  }
  return names;
}

TEST(OperatorListTest, TheDocumentHasEveryOperator) {
  std::set<std::string> standard = {"If", "Loop"},
                        contrib;  // the two are no rows of the table: the importer expands them
  for (const auto& [name, import] : onnx_import::Operators()) {
    const absl::string_view bare = absl::StripPrefix(name, kContrib);
    (bare == name ? standard : contrib).insert(std::string(bare));
  }
  EXPECT_THAT(ListedUnder("The default domain"), testing::ContainerEq(standard));
  EXPECT_THAT(ListedUnder("com.microsoft"), testing::ContainerEq(contrib));
}

}  // namespace
}  // namespace precis::conformance
