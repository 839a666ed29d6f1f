#ifndef PRECIS_SERVER_RPC_SEARCH_DESCRIPTION_H_
#define PRECIS_SERVER_RPC_SEARCH_DESCRIPTION_H_

#include "engine/model.h"
#include "precis/v1/precision_service.pb.h"

namespace precis::server {

// What a search for mixed precision found, as the protocol says it.
void DescribeSearch(const search::Report& report, v1::PrecisionSearch* proto);

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_SEARCH_DESCRIPTION_H_
