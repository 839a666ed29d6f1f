#include "server/rpc/search_description.h"

#include <cmath>

#include "server/config/precision_policy.h"

namespace precis::server {
namespace {

void DescribePoint(const search::Point& point, v1::PrecisionSearch::Point* proto) {
  for (const auto& [precision, layers] : point.layers) {
    auto& count = *proto->add_layers();
    count.set_precision(PrecisionToProto(precision));
    count.set_layers(layers);
  }
  if (std::isfinite(point.sqnr_db)) proto->set_sqnr_db(point.sqnr_db);
  if (std::isfinite(point.sqnr_low_db)) proto->set_sqnr_db_low(point.sqnr_low_db);
  if (point.top1_disagreement) proto->set_top1_disagreement(*point.top1_disagreement);
  if (std::isfinite(point.expected_sqnr_db)) proto->set_expected_sqnr_db(point.expected_sqnr_db);
  proto->set_expected_us(point.expected_us);
  proto->set_time_us(point.time_us);
  proto->set_weight_bytes(point.weight_bytes);
  proto->set_meets_budget(point.meets_budget);
  proto->set_pareto(point.is_pareto);
  proto->set_chosen(point.chosen);
}

}  // namespace

void DescribeSearch(const search::Report& report, v1::PrecisionSearch* proto) {
  *proto->mutable_budget() = MixedToProto(report.budget);
  proto->set_coarsest(PrecisionToProto(report.coarsest));
  proto->set_samples(report.samples);
  proto->set_sensitivity_samples(report.sensitivity_samples);
  proto->set_budget_met(report.budget_met);
  proto->set_reason(report.reason);
  for (const search::LayerFinding& finding : report.layers) {
    auto& layer = *proto->add_layers();
    layer.set_name(finding.name);
    layer.set_chosen(PrecisionToProto(finding.chosen));
    if (std::isfinite(finding.sqnr_db)) layer.set_sqnr_db(finding.sqnr_db);
    if (finding.top1_disagreement) layer.set_top1_disagreement(*finding.top1_disagreement);
    for (const search::LayerOption& measured : finding.options) {
      auto& option = *layer.add_options();
      option.set_precision(PrecisionToProto(measured.precision));
      option.set_time_us(measured.time_us);
      option.set_weight_bytes(measured.weight_bytes);
    }
  }
  for (const search::Point& point : report.points) DescribePoint(point, proto->add_points());
}

}  // namespace precis::server
