#ifndef PRECIS_SERVER_RPC_MODEL_DESCRIPTION_H_
#define PRECIS_SERVER_RPC_MODEL_DESCRIPTION_H_

// What the store knows, as the protocols say it.

#include <string>

#include "inference/grpc_service.pb.h"
#include "precis/v1/precision_service.pb.h"
#include "server/models/model_store.h"

namespace precis::server {

// `name` is the name the client used: perf_analyzer sends its requests to the name it reads here.
void DescribeMetadata(const std::string& name, const ServedVariant& served, const std::vector<std::string>& versions,
                      inference::ModelMetadataResponse* response);

void DescribeStatistics(const std::string& name, const std::string& version, const StatisticsSnapshot& sums,
                        inference::ModelStatistics* statistics);

void DescribeIndex(const VersionReport& report, inference::RepositoryIndexResponse::ModelIndex* index);

void DescribeVersion(const VersionReport& report, v1::ModelVariants* model);
void DescribeVariant(const VariantReport& report, v1::VariantStatus* status);
// What a load of `name` has made; of several versions, in the highest. Empty when it is gone again.
v1::VariantStatus DescribeLoaded(const ModelStore& store, const ModelName& name, int64_t version);
void DescribeLayer(const Layer& layer, v1::PlanLayer* proto);

// The engine's name of a phase ("warm_up") as the protocol's.
v1::LoadVariantProgress::Phase PhaseOf(const std::string& phase);

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_MODEL_DESCRIPTION_H_
