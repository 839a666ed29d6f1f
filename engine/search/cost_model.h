#ifndef PRECIS_ENGINE_SEARCH_COST_MODEL_H_
#define PRECIS_ENGINE_SEARCH_COST_MODEL_H_

// What a mixed network costs, told from measurements of networks at one precision each.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "engine/ir/graph.h"
#include "engine/quant/policy.h"
#include "engine/search/compiler.h"
#include "engine/search/solver.h"

namespace precis::search {

// Times of one compiled network, by layer name as CompiledLayer has it; microseconds.
using Profile = absl::flat_hash_map<std::string, double>;

// Latency of an assignment as the sum of measured parts. A "net" is a set of values that cheap operators (movement and elementwise
// arithmetic) join, with the layers that write or read them. Where all of a net's layers have one precision, its operators cost what they
// cost in the network of that precision. Where they differ, its values are f32: the operators cost what they cost in f32, each reading
// precision adds one Convert (none where an integer layer writes 16 bits for readers of these 16 bits alone), and a layer that writes the net
// costs what it costs with an f32 result.
class LatencyModel {
 public:
  // `layers`: node ids of the layers in the order of assignments. `uniform`: one profile per candidate, of the network at that precision;
  // `f32`: of the network in f32.
  LatencyModel(const ir::Graph& graph, const std::vector<ir::NodeId>& layers,
               const std::vector<quant::Precision>& candidates, const std::vector<Profile>& uniform,
               const Profile& f32);

  // What the network with `layer` alone at `candidate` showed: its time between f32 neighbours, and its Converts'.
  void AddAlone(size_t layer, int candidate, const Profile& profile);

  double Microseconds(const Assignment& assignment) const;

  // Time of a layer in the network at one precision.
  double LayerMicroseconds(size_t layer, int candidate) const {
    return layers_[layer].uniform_us[static_cast<size_t>(candidate)];
  }

 private:
  struct Layer {
    std::vector<double> uniform_us, bordered_us;  // per candidate
    std::vector<int> written;                     // nets
  };
  struct Net {
    std::vector<size_t> layers, readers, writers;  // readers: those that would ask for a Convert
    bool has_other_readers = false;  // nodes that are no layers and do not belong to the net; graph outputs
    std::vector<double> uniform_us;  // per candidate: operators and Converts
    double f32_us = 0;
    double convert_us = -1;  // of one Convert; below 0: not seen
    int64_t elements = 0;    // of its largest value
  };

  int NetOf(ir::ValueId value) const { return nets_of_[static_cast<size_t>(value)]; }
  // The net that an entry of a profile, which is no layer, belongs to; -1: none.
  int NetOfEntry(const std::string& name, bool* is_convert) const;
  bool IsUniform(const Net& net, const Assignment& assignment) const;
  int NumConverts(const Net& net, const Assignment& assignment) const;
  void JoinValues(const ir::Graph& graph);
  void Attach(const ir::Graph& graph, const std::vector<ir::NodeId>& layers);

  const std::vector<quant::Precision> candidates_;
  std::vector<Layer> layers_;
  std::vector<Net> nets_;
  std::vector<int> nets_of_;  // per value
  absl::flat_hash_map<std::string, size_t> layer_of_name_;
  absl::flat_hash_map<std::string, int> net_of_node_, net_of_input_,
      net_of_value_;     // of a node's result, of its first input
  double other_us_ = 0;  // of what belongs to no net
  double convert_us_per_element_ = 0;
  double seen_convert_us_ = 0, seen_convert_elements_ = 0;
};

}  // namespace precis::search

#endif  // PRECIS_ENGINE_SEARCH_COST_MODEL_H_
