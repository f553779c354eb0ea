#include "kube/lease.h"

#include <condition_variable>
#include <random>

#include "base/timestamp.h"

namespace imagebuild::kube {
namespace {

using std::chrono::milliseconds;

constexpr double kJitter = 1.2;

// A hanging call must not outlast the lease: half the deadline for connecting, half for the answer, no repeats.
Client impatient(const Client& client, const LeaseOptions& options) {
  const milliseconds half = options.renew_deadline / 2;
  return client.with_patience({.connect = half, .idle = half}, {.attempts = 1});
}

long long whole_seconds(milliseconds duration) {
  return std::max<long long>(1, std::chrono::ceil<std::chrono::seconds>(duration).count());
}

}  // namespace

LeaderElector::LeaderElector(const Client& client, LeaseOptions options, LeaseCallbacks callbacks, LeaseSeams seams)
    : client_(impatient(client, options)),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      seams_(std::move(seams)) {}

void LeaderElector::wait(milliseconds duration, const std::stop_token& stop) const {
  if (seams_.sleep) return seams_.sleep(duration, stop);
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, duration, [] { return false; });
}

LeaderElector::Outcome LeaderElector::run(std::stop_token stop) {
  thread_local std::mt19937_64 engine{std::random_device{}()};
  while (!stop.stop_requested()) {
    if (try_acquire_or_renew(stop)) return lead(stop);
    const double random = seams_.random ? seams_.random() : std::uniform_real_distribution<double>(0.0, 1.0)(engine);
    wait(std::chrono::duration_cast<milliseconds>(options_.retry_period * (1.0 + kJitter * random)), stop);
  }
  return Outcome::kStopped;
}

LeaderElector::Outcome LeaderElector::lead(const std::stop_token& stop) {
  if (callbacks_.on_started) callbacks_.on_started();
  bool lost = false;
  while (!stop.stop_requested() && !lost) {
    wait(options_.retry_period, stop);
    if (stop.stop_requested()) break;
    if (try_acquire_or_renew(stop)) continue;
    lost = text_at(observed_, {"spec", "holderIdentity"}) != options_.identity || !is_leader();
  }
  {
    const std::lock_guard lock(mutex_);
    renewed_at_.reset();
  }
  if (callbacks_.on_stopped) callbacks_.on_stopped();
  if (!lost && options_.release_on_stop) release();
  return lost ? Outcome::kLost : Outcome::kStopped;
}

bool LeaderElector::is_leader() const {
  const std::lock_guard lock(mutex_);
  return renewed_at_ && seams_.now() - *renewed_at_ < options_.renew_deadline;
}

// A record that changed was renewed just now, as far as this machine's clock can tell.
void LeaderElector::observe(const Json& lease) {
  if (observed_.is_null() || at(observed_, {"spec"}) != at(lease, {"spec"})) observed_at_ = seams_.now();
  observed_ = lease;
  const std::string leader = text_at(lease, {"spec", "holderIdentity"});
  if (leader == leader_) return;
  leader_ = leader;
  if (callbacks_.on_leader && !leader.empty()) callbacks_.on_leader(leader);
}

Json LeaderElector::wanted(const Json* current) const {
  const std::string now = micro_time_text(seams_.wall());
  Json spec = {{"holderIdentity", options_.identity},
               {"leaseDurationSeconds", whole_seconds(options_.duration)},
               {"acquireTime", now},
               {"renewTime", now},
               {"leaseTransitions", 0}};
  if (current == nullptr) {
    return {{"apiVersion", "coordination.k8s.io/v1"},
            {"kind", "Lease"},
            {"metadata", {{"namespace", options_.lease.ns}, {"name", options_.lease.name}}},
            {"spec", spec}};
  }
  const bool ours = text_at(*current, {"spec", "holderIdentity"}) == options_.identity;
  const long long transitions = number_at(*current, {"spec", "leaseTransitions"});
  spec["leaseTransitions"] = ours ? transitions : transitions + 1;
  if (const std::string since = text_at(*current, {"spec", "acquireTime"}); ours && !since.empty()) {
    spec["acquireTime"] = since;
  }
  Json lease = *current;
  lease["spec"] = spec;
  return lease;
}

bool LeaderElector::try_acquire_or_renew(const std::stop_token& stop) {
  const SteadyTime began = seams_.now();
  auto current = client_.get(leases(), options_.lease, stop);
  if (!current.ok() && !current.error().is_not_found()) return false;
  if (current.ok()) {
    observe(*current);
    const std::string holder = text_at(*current, {"spec", "holderIdentity"});
    // Theirs, and seen to change less than their own duration ago.
    const milliseconds theirs = std::chrono::seconds(number_at(*current, {"spec", "leaseDurationSeconds"}, 15));
    if (!holder.empty() && holder != options_.identity && seams_.now() - observed_at_ < theirs) return false;
  }
  // The resourceVersion in the object makes sure that only one of several candidates succeeds.
  auto written = current.ok() ? client_.update(leases(), wanted(&*current), stop)
                              : client_.create(leases(), wanted(nullptr), stop);
  if (!written.ok()) return false;
  observe(*written);
  const std::lock_guard lock(mutex_);
  renewed_at_ = began;
  return true;
}

void LeaderElector::release() {
  Json lease = observed_;
  if (text_at(lease, {"spec", "holderIdentity"}) != options_.identity) return;
  lease["spec"]["holderIdentity"] = "";
  lease["spec"]["leaseDurationSeconds"] = 1;
  lease["spec"]["renewTime"] = micro_time_text(seams_.wall());
  // A failure only means that the next leader waits for the lease to run out.
  (void)client_.update(leases(), lease);
}

}  // namespace imagebuild::kube
