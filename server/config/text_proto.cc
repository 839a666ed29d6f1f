#include "server/config/text_proto.h"

#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"

namespace precis::server {
namespace {

// Keeps the first error and every warning, with 1-based positions.
class Collector : public google::protobuf::io::ErrorCollector {
 public:
  Collector(absl::string_view source, std::vector<std::string>* warnings) : source_(source), warnings_(warnings) {}

  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (error_.empty()) error_ = At(line, column, message);
  }
  void AddWarning(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (warnings_ != nullptr) warnings_->push_back(At(line, column, message));
  }
  const std::string& error() const { return error_; }

 private:
  std::string At(int line, int column, const std::string& message) const {
    return absl::StrCat(source_, ":", line + 1, ":", column + 1, ": ", message);
  }
  std::string source_, error_;
  std::vector<std::string>* warnings_;
};

}  // namespace

absl::Status ParseTextProto(absl::string_view text, absl::string_view source, UnknownFields unknown,
                            google::protobuf::Message* message, std::vector<std::string>* warnings) {
  Collector collector(source, warnings);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&collector);
  parser.AllowUnknownField(unknown == UnknownFields::kWarn);
  parser.SetRecursionLimit(32);
  if (!parser.ParseFromString(std::string(text), message)) {
    return absl::InvalidArgumentError(collector.error().empty() ? absl::StrCat(source, ": not a text proto")
                                                                : collector.error());
  }
  return absl::OkStatus();
}

absl::Status ParseTextProtoFile(const std::string& path, UnknownFields unknown, google::protobuf::Message* message,
                                std::vector<std::string>* warnings) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  return ParseTextProto(std::move(text).str(), path, unknown, message, warnings);
}

}  // namespace precis::server
