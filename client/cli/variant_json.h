#ifndef PRECIS_CLIENT_CLI_VARIANT_JSON_H_
#define PRECIS_CLIENT_CLI_VARIANT_JSON_H_

#include <string>

#include "client/cli/command.h"

namespace precis::cli {

// A variant as `models` and `load` show it.
inline Json VariantJson(const client::VariantStatus& variant) {
  return {{"name", variant.name},
          {"state", variant.state},
          {"reason", variant.reason},
          {"precision", variant.precision},
          {"load_ms", variant.load_ms},
          {"weight_bytes", variant.weight_bytes},
          {"arena_bytes", variant.arena_bytes},
          {"bytes_per_inference", variant.weight_bytes_per_run + variant.activation_bytes_per_run},
          {"threads", variant.threads},
          {"workers", variant.workers},
          {"emulated_layers", variant.emulated_layers},
          {"inference_count", variant.inference_count}};
}

// A variant's name as tables show it: times of one with emulated layers are not those of any hardware.
inline std::string LabelOf(const std::string& name, const Json& emulated_layers) {
  return emulated_layers.get<int>() > 0 ? name + " (emulated)" : name;
}

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_VARIANT_JSON_H_
