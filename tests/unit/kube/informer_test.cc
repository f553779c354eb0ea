#include "kube/informer.h"

#include "unit/kube/api_fixture.h"
#include "unit/kube/contract.h"

namespace imagebuild::kube {
namespace {

using contract::config_map;
using contract::config_maps;

std::string value_of(const Object& object) {
  return object ? text_at(*object, {"data", "value"}) : "-";
}

class InformerTest : public ApiFixture {
 protected:
  InformerTest() {
    fakes::FakeApiOptions patient;  // Watches last until a test ends them.
    patient.watch_second = std::chrono::hours(1);
    server = std::make_unique<fakes::FakeApiServer>(patient);
    ClientOptions own = options();
    own.server = *http::Url::parse(server->url());
    client = std::make_unique<Client>(transport, own);
  }
  InformerOptions informer_options() {
    InformerOptions options{.resource = config_maps(), .ns = "ns"};
    options.seams.sleep = [this](std::chrono::milliseconds wait) { note_wait(wait); };
    options.seams.random = [] { return 0.0; };
    options.on_error = [this](const ApiError& error) { note("error " + std::to_string(error.status)); };
    return options;
  }
  ChangeHandler recorder() {
    return [this](const Object& before, const Object& now) {
      note(key_of(now ? *now : *before).name + " " + value_of(before) + " " + value_of(now));
    };
  }
  void note(std::string line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }
  // Whether `line` was noted, now or soon.
  bool saw(const std::string& line) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return std::find(lines_.begin(), lines_.end(), line) != lines_.end(); });
  }
  long times(const std::string& line) {
    const std::lock_guard lock(mutex_);
    return std::count(lines_.begin(), lines_.end(), line);
  }

  std::unique_ptr<fakes::FakeApiServer> server;
  std::unique_ptr<Client> client;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

TEST_F(InformerTest, HasWhatWasThereAndFollowsWhatChanges) {
  server->put(config_maps(), config_map("ns", "a"));
  server->put(config_maps(), config_map("other", "x"));
  Informer informer(*client, informer_options(), recorder());
  EXPECT_FALSE(informer.has_synced());
  informer.start();
  ASSERT_TRUE(informer.wait_for_sync());
  EXPECT_EQ(informer.size(), 1U);
  EXPECT_EQ(value_of(informer.get({"ns", "a"})), "one");
  EXPECT_EQ(informer.get({"ns", "b"}), nullptr);
  EXPECT_TRUE(saw("a - one"));

  ASSERT_TRUE(server->wait_for_watchers(1));
  server->put(config_maps(), config_map("ns", "b"));
  EXPECT_TRUE(saw("b - one"));
  server->put(config_maps(), config_map("ns", "a", "two"));
  EXPECT_TRUE(saw("a one two"));
  EXPECT_EQ(value_of(informer.get({"ns", "a"})), "two");
  server->remove(config_maps(), {"ns", "a"});
  EXPECT_TRUE(saw("a two -"));
  EXPECT_EQ(informer.list().size(), 1U);
}

TEST_F(InformerTest, TakesItsFirstListFromTheServersCache) {
  server->put(config_maps(), config_map("ns", "a"));
  server->put(config_maps(), config_map("ns", "plain"));
  InformerOptions options = informer_options();
  options.first_from_cache = true;
  options.project_text = [](std::string_view text) -> std::optional<Json> {
    if (text.find("plain") == text.npos) return {};
    return Json{{"metadata", {{"name", "plain"}, {"namespace", "ns"}, {"uid", "u"}, {"resourceVersion", "1"}}}};
  };
  Informer informer(*client, options, recorder());
  informer.start();
  ASSERT_TRUE(informer.wait_for_sync());
  EXPECT_EQ(informer.size(), 2U);
  ASSERT_TRUE(informer.get({"ns", "a"}));
  EXPECT_EQ(text_at(*informer.get({"ns", "a"}), {"kind"}), "ConfigMap");
  EXPECT_EQ(value_of(informer.get({"ns", "a"})), "one");
  EXPECT_EQ(value_of(informer.get({"ns", "plain"})), "");
  EXPECT_EQ(server->count("GET", "resourceVersion=0"), 1);
  EXPECT_EQ(server->count("GET", "limit"), 0);

  ASSERT_TRUE(server->wait_for_watchers(1));
  server->put(config_maps(), config_map("ns", "b"));
  EXPECT_TRUE(saw("b - one"));
  server->compact();
  server->end_watches();
  ASSERT_TRUE(server->wait_for_count("WATCH", "", 2));
}

TEST_F(InformerTest, ReadsTheNewestInPagesWhereTheCacheGaveNoWholeAnswer) {
  server->put(config_maps(), config_map("ns", "a"));
  server->inject({.method = "GET", .path_contains = "configmaps", .times = 1, .stream = R"({"items":[{"metadata")"});
  server->inject({.method = "GET", .path_contains = "configmaps", .times = 1, .status = 403, .reason = "Forbidden"});
  InformerOptions options = informer_options();
  options.first_from_cache = true;
  Informer informer(*client, options, recorder());
  informer.start();
  ASSERT_TRUE(informer.wait_for_sync());
  EXPECT_EQ(value_of(informer.get({"ns", "a"})), "one");
  EXPECT_TRUE(saw("error 403"));
  EXPECT_EQ(server->count("GET", "limit"), 1);
}

TEST_F(InformerTest, GoesOnWhereABrokenWatchEnded) {
  server->put(config_maps(), config_map("ns", "a"));
  Informer informer(*client, informer_options(), recorder());
  informer.start();
  ASSERT_TRUE(server->wait_for_watchers(1));
  server->break_watches();
  EXPECT_TRUE(saw("error 0"));
  ASSERT_TRUE(server->wait_for_count("WATCH", "", 2));
  server->put(config_maps(), config_map("ns", "b"));
  EXPECT_TRUE(saw("b - one"));
  EXPECT_EQ(server->count("GET", "limit"), 1) << "it must not list again";
  EXPECT_EQ(times("a - one"), 1);
}

TEST_F(InformerTest, WatchesAgainAfterAnEndInOrder) {
  Informer informer(*client, informer_options(), recorder());
  informer.start();
  ASSERT_TRUE(server->wait_for_watchers(1));
  server->end_watches();
  ASSERT_TRUE(server->wait_for_count("WATCH", "", 2));
  EXPECT_EQ(server->count("GET", "limit"), 1);
  EXPECT_EQ(waits(), (std::vector<long>{400})) << "a server that ends every watch at once must not be flooded";
}

TEST_F(InformerTest, GoesOnFromABookmark) {
  Informer informer(*client, informer_options(), recorder());
  informer.start();
  ASSERT_TRUE(server->wait_for_watchers(1));
  const Json elsewhere = server->put(config_maps(), config_map("other", "x"));  // Not watched, but newer.
  server->send_bookmarks();
  server->put(config_maps(), config_map("ns", "a"));
  EXPECT_TRUE(saw("a - one"));
  server->compact();
  server->end_watches();
  ASSERT_TRUE(server->wait_for_count("WATCH", "", 2));
  server->put(config_maps(), config_map("ns", "b"));
  EXPECT_TRUE(saw("b - one"));
  EXPECT_EQ(server->count("GET", "limit"), 1);
}

TEST_F(InformerTest, ListsAgainWhenItsVersionIsGoneAndTellsTheDifference) {
  server->put(config_maps(), config_map("ns", "a"));
  server->put(config_maps(), config_map("ns", "b"));
  server->put(config_maps(), config_map("ns", "c"));
  Informer informer(*client, informer_options(), recorder());
  informer.start();
  ASSERT_TRUE(informer.wait_for_sync());
  ASSERT_TRUE(server->wait_for_watchers(1));
  server->inject({.watches_only = true,
                  .stream = R"({"type":"ERROR","object":{"kind":"Status","code":410}})"
                            "\n"});
  // Meanwhile the world moves on: what the broken watch does not say, the list must.
  server->inject({.method = "GET", .times = 1, .status = 500});
  server->break_watches();
  EXPECT_TRUE(saw("error 410"));
  server->put(config_maps(), config_map("ns", "b", "two"));
  server->remove(config_maps(), {"ns", "c"});
  EXPECT_TRUE(saw("b one two"));
  EXPECT_TRUE(saw("c one -"));
  EXPECT_EQ(times("a - one"), 1) << "what did not change is not told again";
  EXPECT_EQ(informer.size(), 2U);
}

TEST_F(InformerTest, WaitsLongerEachTimeTheServerRefuses) {
  server->inject({.method = "GET", .times = 3, .status = 403, .reason = "Forbidden"});
  Informer informer(*client, informer_options(), recorder());
  informer.start();
  ASSERT_TRUE(informer.wait_for_sync());
  EXPECT_EQ(waits(), (std::vector<long>{400, 800, 1600}));
  EXPECT_EQ(times("error 403"), 3);
}

TEST_F(InformerTest, KeepsOnlyWhatTheProjectionKeeps) {
  server->put(config_maps(), config_map("ns", "a"));
  InformerOptions lean = informer_options();
  lean.project = [](Json object) { return Json{{"data", object["data"]}}; };
  Informer informer(*client, lean, recorder());
  informer.start();
  ASSERT_TRUE(informer.wait_for_sync());
  const Object kept = informer.get({"ns", "a"});
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(value_of(kept), "one");
  EXPECT_FALSE(kept->contains("kind"));
  EXPECT_EQ(at(*kept, {"metadata"}).size(), 4U) << "name, namespace, uid and resourceVersion stay";
}

TEST_F(InformerTest, SelectsByLabel) {
  server->put(config_maps(), config_map("ns", "a"));
  server->put(config_maps(), config_map("ns", "b"));
  InformerOptions selective = informer_options();
  selective.label_selector = "app=a";
  Informer informer(*client, selective, recorder());
  informer.start();
  ASSERT_TRUE(informer.wait_for_sync());
  EXPECT_EQ(informer.size(), 1U);
}

TEST_F(InformerTest, TellsOfTheOldAndTheNewObjectOfOneName) {
  server->put(config_maps(), config_map("ns", "a"));
  Informer informer(*client, informer_options(), recorder());
  informer.start();
  ASSERT_TRUE(server->wait_for_watchers(1));
  server->inject({.watches_only = true, .times = 1, .status = 410});
  server->inject({.method = "GET", .times = 5, .status = 503});
  server->break_watches();
  EXPECT_TRUE(saw("error 410"));
  server->remove(config_maps(), {"ns", "a"});
  server->put(config_maps(), config_map("ns", "a", "two"));
  EXPECT_TRUE(saw("a one -"));
  EXPECT_TRUE(saw("a - two"));
}

TEST_F(InformerTest, LetsWatchesEndAtDifferentTimes) {
  InformerOptions halfway = informer_options();
  halfway.seams.random = [] { return 0.5; };
  Informer informer(*client, halfway, recorder());
  informer.start();
  EXPECT_TRUE(server->wait_for_count("WATCH", "timeoutSeconds=450", 1));
}

TEST_F(InformerTest, StopsInTheMiddleOfAWatch) {
  Informer informer(*client, informer_options(), recorder());
  informer.start();
  ASSERT_TRUE(server->wait_for_watchers(1));
  informer.stop();
  EXPECT_EQ(times("error 0"), 0);
}

}  // namespace
}  // namespace imagebuild::kube
