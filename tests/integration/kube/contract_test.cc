// The contract's list of API behaviours against a real API server: as a user with a client certificate, and as a
// service account with a token. tests/unit/kube/contract_test.cc runs the same list against the fake one.
#include "integration/kube/cluster_place.h"
#include "unit/http/cpprest_process.h"
#include "unit/kube/contract_cases.h"

namespace imagebuild::kube {
namespace {

struct Row {
  std::string name;
  Identity identity;
  ApiCase contract;
};

void PrintTo(const Row& row, std::ostream* out) {
  *out << row.name;
}

std::vector<Row> rows() {
  std::vector<Row> rows;
  for (const ApiCase& contract : api_cases()) {
    rows.push_back({"WithCertificate" + contract.name, Identity::kCertificate, contract});
    rows.push_back({"WithToken" + contract.name, Identity::kServiceAccount, contract});
  }
  return rows;
}

class RealApi : public testing::TestWithParam<Row> {};

TEST_P(RealApi, BehavesAsTheFakeOne) {
  const ClusterPlace place(GetParam().identity);
  ASSERT_TRUE(place.ready());
  GetParam().contract.check(place.client(), place.ns());
}

INSTANTIATE_TEST_SUITE_P(Api, RealApi, testing::ValuesIn(rows()), [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace imagebuild::kube
