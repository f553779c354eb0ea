#include "kube/lease.h"

#include "base/timestamp.h"
#include "unit/kube/api_fixture.h"

namespace imagebuild::kube {
namespace {

using namespace std::chrono_literals;

const ObjectKey kLease{"ns", "leader"};

// One candidate with a clock of its own, which sleeping moves on.
struct Candidate {
  Candidate(const Client& client, const std::string& identity, bool release = true)
      : elector(client, {.lease = kLease, .identity = identity, .release_on_stop = release},
                {.on_started = [this] { line("started"); },
                 .on_stopped = [this] { line("stopped"); },
                 .on_leader = [this](const std::string& who) { line("leader " + who); }},
                {.now = [this] { return now; },
                 .wall = [this] { return WallTime(now.time_since_epoch() + skew); },
                 .sleep =
                     [this](std::chrono::milliseconds duration, const std::stop_token&) {
                       now += duration;
                       slept.push_back(duration.count());
                       if (on_sleep) on_sleep();
                     },
                 .random = [] { return 0.5; }}) {}
  void line(const std::string& text) { log.push_back(text); }

  SteadyTime now = SteadyTime{} + 1000h;
  std::chrono::hours skew{0};
  std::function<void()> on_sleep;
  std::vector<std::string> log;
  std::vector<long> slept;
  LeaderElector elector;
};

class LeaseTest : public ApiFixture {
 protected:
  std::string holder() const {
    const auto lease = api.find(leases(), kLease);
    return lease ? text_at(*lease, {"spec", "holderIdentity"}) : "none";
  }
  Client client{transport, options()};
  std::stop_source stop;
};

TEST_F(LeaseTest, TakesALeaseThatNobodyHolds) {
  Candidate a(client, "a");
  EXPECT_FALSE(a.elector.is_leader());
  EXPECT_TRUE(a.elector.try_acquire_or_renew({}));
  EXPECT_TRUE(a.elector.is_leader());
  const Json lease = *api.find(leases(), kLease);
  EXPECT_EQ(text_at(lease, {"spec", "holderIdentity"}), "a");
  EXPECT_EQ(number_at(lease, {"spec", "leaseDurationSeconds"}), 15);
  EXPECT_TRUE(parse_time(text_at(lease, {"spec", "renewTime"})));
  EXPECT_EQ(a.log, (std::vector<std::string>{"leader a"}));
}

TEST_F(LeaseTest, RenewsWithoutCountingATransition) {
  Candidate a(client, "a");
  ASSERT_TRUE(a.elector.try_acquire_or_renew({}));
  const Json first = *api.find(leases(), kLease);
  a.now += 2s;
  ASSERT_TRUE(a.elector.try_acquire_or_renew({}));
  const Json second = *api.find(leases(), kLease);
  EXPECT_EQ(text_at(first, {"spec", "acquireTime"}), text_at(second, {"spec", "acquireTime"}));
  EXPECT_NE(text_at(first, {"spec", "renewTime"}), text_at(second, {"spec", "renewTime"}));
  EXPECT_EQ(number_at(second, {"spec", "leaseTransitions"}), 0);
}

TEST_F(LeaseTest, WaitsTheFullDurationByItsOwnClockAndTrustsNoOther) {
  Candidate a(client, "a"), b(client, "b");
  a.skew = -5000h;  // Its renewals look ages old to everybody else.
  ASSERT_TRUE(a.elector.try_acquire_or_renew({}));
  EXPECT_FALSE(b.elector.try_acquire_or_renew({}));
  b.now += 14s;
  EXPECT_FALSE(b.elector.try_acquire_or_renew({}));
  a.now += 10s;
  ASSERT_TRUE(a.elector.try_acquire_or_renew({}));
  b.now += 2s;
  EXPECT_FALSE(b.elector.try_acquire_or_renew({})) << "it saw a renewal just now";
  b.now += 15s;
  EXPECT_TRUE(b.elector.try_acquire_or_renew({}));
  EXPECT_EQ(number_at(*api.find(leases(), kLease), {"spec", "leaseTransitions"}), 1);
  EXPECT_EQ(b.log, (std::vector<std::string>{"leader a", "leader b"}));
}

TEST_F(LeaseTest, IsNoLeaderAnyMoreOnceItsRenewalIsTooOld) {
  Candidate a(client, "a");
  ASSERT_TRUE(a.elector.try_acquire_or_renew({}));
  a.now += 9999ms;
  EXPECT_TRUE(a.elector.is_leader());
  a.now += 1ms;
  EXPECT_FALSE(a.elector.is_leader());
}

TEST_F(LeaseTest, LosesARaceForTheSameVersion) {
  Candidate a(client, "a");
  api.inject({.method = "PUT", .status = 409, .reason = "Conflict"});
  ASSERT_TRUE(a.elector.try_acquire_or_renew({}));
  a.now += 1s;
  EXPECT_FALSE(a.elector.try_acquire_or_renew({}));
}

TEST_F(LeaseTest, LeadsRenewsAndHandsOverWhenStopped) {
  Candidate a(client, "a");
  a.on_sleep = [&] {
    EXPECT_TRUE(a.elector.is_leader());
    if (a.slept.size() == 5) stop.request_stop();
  };
  EXPECT_EQ(a.elector.run(stop.get_token()), LeaderElector::Outcome::kStopped);
  EXPECT_EQ(a.log, (std::vector<std::string>{"leader a", "started", "stopped"}));
  EXPECT_EQ(a.slept, (std::vector<long>(5, 2000)));
  EXPECT_EQ(holder(), "");
  EXPECT_FALSE(a.elector.is_leader());
  Candidate b(client, "b");
  EXPECT_TRUE(b.elector.try_acquire_or_renew({})) << "a lease that was handed back is free at once";
}

TEST_F(LeaseTest, KeepsTheLeaseWhenItMustNotBeHandedOver) {
  Candidate a(client, "a", false);
  a.on_sleep = [&] { stop.request_stop(); };
  EXPECT_EQ(a.elector.run(stop.get_token()), LeaderElector::Outcome::kStopped);
  EXPECT_EQ(holder(), "a");
}

TEST_F(LeaseTest, GivesUpAfterTheDeadlineWithoutTheServer) {
  Candidate a(client, "a");
  a.on_sleep = [&] {
    if (a.slept.size() == 1) api.inject({.times = 1000, .status = 500});
  };
  EXPECT_EQ(a.elector.run(stop.get_token()), LeaderElector::Outcome::kLost);
  EXPECT_EQ(a.log, (std::vector<std::string>{"leader a", "started", "stopped"}));
  EXPECT_EQ(a.slept.size(), 5U) << "ten seconds in steps of two";
}

TEST_F(LeaseTest, SurvivesAShortOutage) {
  Candidate a(client, "a");
  a.on_sleep = [&] {
    if (a.slept.size() == 1) api.inject({.times = 3, .status = 500});
    if (a.slept.size() == 20) stop.request_stop();
  };
  EXPECT_EQ(a.elector.run(stop.get_token()), LeaderElector::Outcome::kStopped);
}

TEST_F(LeaseTest, StopsAtOnceWhenSomebodyElseHoldsTheLease) {
  Candidate a(client, "a");
  a.on_sleep = [&] {
    Json lease = *api.find(leases(), kLease);
    lease["spec"]["holderIdentity"] = "thief";
    api.put(leases(), lease);
  };
  EXPECT_EQ(a.elector.run(stop.get_token()), LeaderElector::Outcome::kLost);
  EXPECT_EQ(a.slept.size(), 1U);
  EXPECT_EQ(holder(), "thief");
}

TEST_F(LeaseTest, WaitsForItsTurnWithJitter) {
  Candidate a(client, "a"), b(client, "b");
  ASSERT_TRUE(a.elector.try_acquire_or_renew({}));
  b.on_sleep = [&] {
    if (!b.log.empty() && b.log.back() == "started") stop.request_stop();
  };
  EXPECT_EQ(b.elector.run(stop.get_token()), LeaderElector::Outcome::kStopped);
  EXPECT_EQ(b.slept.front(), 3200);  // 2 s and half of 1.2 times that.
  EXPECT_EQ(b.slept.size(), 6U);     // 16 s for the lease, and one while leading.
}

TEST_F(LeaseTest, NeverHangsLongerThanItsDeadline) {
  LeaseOptions quick{.lease = kLease, .identity = "a"};
  quick.renew_deadline = 60ms;
  LeaderElector elector(client, quick, {});
  api.inject({.hang = true});
  EXPECT_FALSE(elector.try_acquire_or_renew({}));
}

}  // namespace
}  // namespace imagebuild::kube
