// The `baseline` level of Kubernetes' Pod Security Standards, as its documentation lists the controls: what the
// admission controller of a newer server enforces, for tests against any.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "kube/resource.h"

namespace imagebuild::op {

// What the level forbids in the pod: "hostPID", "containers[stage].privileged"; empty when it admits the pod.
inline std::vector<std::string> baseline_violations(const kube::Json& pod) {
  using kube::at;
  using kube::Json;
  using kube::text_at;
  std::vector<std::string> found;
  const Json& spec = at(pod, {"spec"});

  // The controls that apply to the pod and to each container.
  const auto both = [&](const std::string& where, const Json& context) {
    const auto forbid = [&](const std::string& what, bool wrong) {
      if (wrong) found.push_back(where + what);
    };
    static const std::set<std::string> kTypes = {"", "container_t", "container_init_t", "container_kvm_t",
                                                 "container_engine_t"};
    forbid("seLinuxOptions.type", !kTypes.contains(text_at(context, {"seLinuxOptions", "type"})));
    forbid("seLinuxOptions.user", !text_at(context, {"seLinuxOptions", "user"}).empty());
    forbid("seLinuxOptions.role", !text_at(context, {"seLinuxOptions", "role"}).empty());
    forbid("seccompProfile", text_at(context, {"seccompProfile", "type"}) == "Unconfined");
    forbid("appArmorProfile", text_at(context, {"appArmorProfile", "type"}) == "Unconfined");
    forbid("windowsOptions.hostProcess", at(context, {"windowsOptions", "hostProcess"}) == Json(true));
  };

  for (const char* name : {"hostNetwork", "hostPID", "hostIPC"}) {
    if (at(spec, {name}) == Json(true)) found.emplace_back(name);
  }
  for (const Json& volume : at(spec, {"volumes"})) {
    if (volume.contains("hostPath")) found.emplace_back("hostPath");
  }
  both("securityContext.", at(spec, {"securityContext"}));
  static const std::set<std::string> kSysctls = {
      "kernel.shm_rmid_forced",       "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
      "net.ipv4.tcp_syncookies",      "net.ipv4.ping_group_range",    "net.ipv4.ip_local_reserved_ports",
      "net.ipv4.tcp_keepalive_time",  "net.ipv4.tcp_fin_timeout",     "net.ipv4.tcp_keepalive_intvl",
      "net.ipv4.tcp_keepalive_probes"};
  for (const Json& sysctl : at(spec, {"securityContext", "sysctls"})) {
    if (!kSysctls.contains(text_at(sysctl, {"name"}))) found.emplace_back("sysctls");
  }
  const Json& annotations = at(pod, {"metadata", "annotations"});
  if (annotations.is_object()) {
    for (const auto& [key, value] : annotations.items()) {
      if (key.starts_with("container.apparmor.security.beta.kubernetes.io/") && value != "runtime/default" &&
          !value.get<std::string>().starts_with("localhost/")) {
        found.push_back(key);
      }
    }
  }
  static const std::set<std::string> kCapabilities = {"AUDIT_WRITE", "CHOWN",  "DAC_OVERRIDE",     "FOWNER",  "FSETID",
                                                      "KILL",        "MKNOD",  "NET_BIND_SERVICE", "SETFCAP", "SETGID",
                                                      "SETPCAP",     "SETUID", "SYS_CHROOT"};
  for (const char* list : {"containers", "initContainers", "ephemeralContainers"}) {
    for (const Json& container : at(spec, {list})) {
      const std::string where = std::string(list) + "[" + text_at(container, {"name"}) + "].";
      const Json& context = at(container, {"securityContext"});
      both(where, context);
      if (at(context, {"privileged"}) == Json(true)) found.push_back(where + "privileged");
      for (const Json& capability : at(context, {"capabilities", "add"})) {
        if (!kCapabilities.contains(capability.get<std::string>())) found.push_back(where + "capabilities");
      }
      const std::string proc = text_at(context, {"procMount"});
      if (!proc.empty() && proc != "Default") found.push_back(where + "procMount");
      for (const Json& port : at(container, {"ports"})) {
        if (kube::number_at(port, {"hostPort"}) != 0) found.push_back(where + "hostPort");
      }
      for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"}) {
        for (const char* action : {"httpGet", "tcpSocket"}) {
          if (!text_at(container, {probe, action, "host"}).empty()) found.push_back(where + probe + ".host");
        }
      }
    }
  }
  return found;
}

}  // namespace imagebuild::op
