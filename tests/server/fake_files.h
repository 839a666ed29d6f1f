#ifndef PRECIS_TESTS_SERVER_FAKE_FILES_H_
#define PRECIS_TESTS_SERVER_FAKE_FILES_H_

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace precis::server {

// A folder that is removed with its contents.
class FakeFiles {
 public:
  FakeFiles() {
    std::string pattern = (std::filesystem::temp_directory_path() / "precis_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  ~FakeFiles() { std::filesystem::remove_all(root_); }

  // Writes a file below the folder, with the folders it needs; returns its full path.
  std::string Write(const std::string& path, const std::string& text) const {
    const std::filesystem::path full = root_ / path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full, std::ios::binary) << text;
    return full.string();
  }
  std::string root() const { return root_.string(); }

 private:
  std::filesystem::path root_;
};

}  // namespace precis::server

#endif  // PRECIS_TESTS_SERVER_FAKE_FILES_H_
