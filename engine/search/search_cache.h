#ifndef PRECIS_ENGINE_SEARCH_SEARCH_CACHE_H_
#define PRECIS_ENGINE_SEARCH_SEARCH_CACHE_H_

// What searches found, on disk (engine/cache): a search takes seconds, and finds the same on the same machine.

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/cache/cache_file.h"
#include "engine/cache/sha256.h"
#include "engine/quant/policy.h"
#include "engine/search/search.h"

namespace precis::search {

// Of Search under `policy` on samples and a network that the key of their calibration stands for. `machine` says what times depend on:
// processor, instruction set, libraries.
cache::Digest KeyOfSearch(const cache::Digest& calibration, const quant::Policy& policy, const std::string& machine,
                          int threads);

// The version is also that of how the search measures and chooses.
inline constexpr cache::Kind kSearchKind = {"search", "PRECISSR", ".search", 2};
// A file and back, as cache::Parse; `policy` is the one that was searched for.
std::string FormatSearch(const cache::Digest& key, const Found& found);
absl::StatusOr<Found> ParseSearch(std::string_view bytes, const cache::Digest& key, const quant::Policy& policy);

// NotFound when there is no such file; InvalidArgument, naming it, when it is not to be trusted.
absl::StatusOr<Found> ReadSearch(const std::string& folder, const cache::Digest& key, const quant::Policy& policy);
// Unavailable when it cannot write.
absl::Status WriteSearch(const std::string& folder, const cache::Digest& key, const Found& found);

}  // namespace precis::search

#endif  // PRECIS_ENGINE_SEARCH_SEARCH_CACHE_H_
