#include "unit/kube/contract_cases.h"

#include "fakes/fake_api_server.h"
#include "http/cpprest_transport.h"
#include "http/curl_transport.h"
#include "unit/http/cpprest_process.h"

namespace imagebuild::kube {
namespace {

struct Row {
  std::string transport;
  ApiCase contract;
};

void PrintTo(const Row& row, std::ostream* out) {
  *out << row.transport + row.contract.name;
}

std::vector<Row> rows() {
  std::vector<Row> rows;
  for (const std::string transport : {"Cpprest", "Curl"}) {
    for (const ApiCase& contract : api_cases()) rows.push_back({transport, contract});
  }
  return rows;
}

class FakeApi : public testing::TestWithParam<Row> {
 protected:
  // Cases that wait for the end of a watch need not wait long here.
  static std::chrono::milliseconds watch_second() {
    const std::string& name = GetParam().contract.name;
    if (name == "EndsAWatchAtItsTimeout") return std::chrono::milliseconds(1);
    return std::chrono::milliseconds(name == "BookmarksMovePastWhatIsNotSelected" ? 200 : 1000);
  }
};

TEST_P(FakeApi, BehavesAsARealOne) {
  fakes::FakeApiServer api({.watch_second = watch_second()});
  api.compact();
  http::CurlTransport curl({.trust = {}, .proxy = {}});
  http::CpprestTransport cpprest;
  http::HttpTransport& transport = GetParam().transport == "Curl" ? static_cast<http::HttpTransport&>(curl)
                                                                  : static_cast<http::HttpTransport&>(cpprest);
  const Client client(transport, {.server = *http::Url::parse(api.url())});
  GetParam().contract.check(client, "test");
}

INSTANTIATE_TEST_SUITE_P(Api, FakeApi, testing::ValuesIn(rows()),
                         [](const auto& row) { return row.param.transport + row.param.contract.name; });

}  // namespace
}  // namespace imagebuild::kube
