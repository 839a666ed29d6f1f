#ifndef PRECIS_ENGINE_PLAN_GEOMETRY_H_
#define PRECIS_ENGINE_PLAN_GEOMETRY_H_

#include "engine/ir/op.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace precis::plan {

// Geometry of a (de)convolution in oneDNN's terms.
struct Geometry {
  dnnl::memory::dims strides, dilations, pads_begin, pads_end;
};

inline Geometry GeometryOf(const ir::Window& w) {
  Geometry g{w.strides, w.dilations, w.pads_begin, w.pads_end};
  for (auto& d : g.dilations) d -= 1;  // oneDNN counts the gaps
  return g;
}

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_GEOMETRY_H_
