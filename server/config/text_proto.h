#ifndef PRECIS_SERVER_CONFIG_TEXT_PROTO_H_
#define PRECIS_SERVER_CONFIG_TEXT_PROTO_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace precis::server {

enum class UnknownFields { kError, kWarn };

// Parses protobuf text format. `source` names the text in messages. With kWarn, unknown fields are skipped, each with a line
// in `warnings`. Errors: InvalidArgument "SOURCE:LINE:COLUMN: what is wrong".
absl::Status ParseTextProto(absl::string_view text, absl::string_view source, UnknownFields unknown,
                            google::protobuf::Message* message, std::vector<std::string>* warnings);

// The same of a file. Errors: NotFound when it cannot be read.
absl::Status ParseTextProtoFile(const std::string& path, UnknownFields unknown, google::protobuf::Message* message,
                                std::vector<std::string>* warnings);

}  // namespace precis::server

#endif  // PRECIS_SERVER_CONFIG_TEXT_PROTO_H_
