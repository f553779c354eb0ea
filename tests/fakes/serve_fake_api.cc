// The fake API server as a program, for benchmarks: says its address on the first line, then does what each line of its
// input asks for, until that ends.
//   copies COUNT OBJECT   puts COUNT ImageBuilds there that look like the JSON of OBJECT; answers "done"
//   requests              answers with one JSON object: "METHOD path-without-names code" → how many since the start
#include <iostream>
#include <map>
#include <string>

#include "fakes/fake_api_server.h"

namespace imagebuild::fakes {
namespace {

const kube::Resource kImageBuilds{"imagebuild.dev", "v1alpha1", "imagebuilds", "ImageBuild"};
const kube::Resource kStorageClasses{"storage.k8s.io", "v1", "storageclasses", "StorageClass", false};

void put_copies(FakeApiServer& api, int count, const Json& object) {
  for (int i = 0; i < count; ++i) {
    Json copy = object;
    const std::string number = std::to_string(i);
    copy["metadata"]["name"] = "done-" + std::string(6 - std::min<std::size_t>(6, number.size()), '0') + number;
    for (const char* own : {"uid", "resourceVersion"}) copy["metadata"].erase(own);
    api.put(kImageBuilds, std::move(copy));
  }
}

std::string what(const ApiRequest& request) {
  const auto target = ApiTarget::parse(request.path);
  std::string kind = target ? target->plural : request.path;
  if (target && !target->subresource.empty()) kind += "/" + target->subresource;
  const bool watches = request.query.contains("watch");
  return (watches ? "WATCH" : request.method) + " " + kind + " " + std::to_string(request.status);
}

Json counted(const FakeApiServer& api) {
  std::map<std::string, int> counts;
  for (const ApiRequest& request : api.requests()) ++counts[what(request)];
  return counts;
}

int serve() {
  FakeApiServer api;
  api.put(
      kStorageClasses,
      {{"metadata", {{"name", "standard"}, {"annotations", {{"storageclass.kubernetes.io/is-default-class", "true"}}}}},
       {"volumeBindingMode", "WaitForFirstConsumer"}});
  std::cout << api.url() << std::endl;
  std::string command;
  while (std::cin >> command) {
    if (command == "copies") {
      int count = 0;
      std::string object;
      std::cin >> count;
      std::getline(std::cin, object);
      put_copies(api, count, Json::parse(object));
      std::cout << "done" << std::endl;
    } else if (command == "requests") {
      std::cout << counted(api).dump() << std::endl;
    } else {
      std::cerr << "no such command: " << command << "\n";
      return 2;
    }
  }
  return 0;
}

}  // namespace
}  // namespace imagebuild::fakes

int main() {
  return imagebuild::fakes::serve();
}
